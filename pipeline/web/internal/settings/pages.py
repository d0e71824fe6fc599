"""The page of settings."""

from typing import Any

from litestar import MediaType, Request, get

from pipeline.domain.access.permissions import Permission
from pipeline.web.auth.access import needs, principal_of
from pipeline.web.http.services import Services
from pipeline.web.internal.areas import SETTINGS, open_to
from pipeline.web.internal.layout import Page, html, page_environment

_environment = page_environment("pipeline.web.internal.settings")


def routes(_services: Services) -> list[Any]:
    """`GET /settings`."""

    @get(
        "/settings",
        opt=needs(Permission.OWN_ACCOUNT),
        media_type=MediaType.HTML,
        sync_to_thread=False,
        include_in_schema=False,
    )
    def settings_page(request: Request[Any, Any, Any]) -> Page:
        viewer = principal_of(request)
        shown = open_to(SETTINGS, viewer)
        return html(_environment.get_template("settings.html.j2").render(viewer=viewer, settings=shown))

    return [settings_page]
