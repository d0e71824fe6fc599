"""The record of acts, newest first."""

from typing import Annotated, Any

from litestar import MediaType, Request, get
from litestar.params import FromQuery, QueryParameter
from litestar.types import ControllerRouterHandler

from pipeline.domain.access.permissions import Permission
from pipeline.store.acts import acts
from pipeline.store.db.engine import reading
from pipeline.web.auth.access import needs, principal_of
from pipeline.web.auth.auth import Auth
from pipeline.web.internal.layout import Page, html, page_environment

PAGE = 100  # acts
_MAX_NAME = 100
_environment = page_environment("pipeline.web.internal.acts")


def routes(auth: Auth) -> list[ControllerRouterHandler]:
    """`GET /acts`."""

    @get(
        "/acts",
        opt=needs(Permission.ACTS),
        media_type=MediaType.HTML,
        sync_to_thread=True,
        include_in_schema=False,
    )
    def acts_page(
        request: Request[Any, Any, Any],
        who: FromQuery[str] = "",
        before: Annotated[int | None, QueryParameter(ge=1, le=2**62)] = None,
    ) -> Page:
        viewer, name = principal_of(request), who.strip()[:_MAX_NAME]
        with reading(auth.store.engine) as connection:
            found = acts.newest(connection, viewer, PAGE + 1, before, name or None)
        shown = found[:PAGE]
        earlier = shown[-1].seq if len(found) > PAGE else None
        page = _environment.get_template("acts.html.j2").render(viewer=viewer, acts=shown, who=name, earlier=earlier)
        return html(page)

    return [acts_page]
