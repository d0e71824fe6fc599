"""The scorecard of an account, opened by a link that a person of the company made. It names no person."""

from functools import partial
from typing import Any

from anyio import to_thread
from litestar import MediaType, Request, Response, get
from litestar.handlers import HTTPRouteHandler
from litestar.params import FromPath

from pipeline.store.db.engine import reading
from pipeline.store.journal.state import clock_of
from pipeline.store.reads.accounts import scorecards
from pipeline.store.users.secrets import digest_of
from pipeline.web.auth.access import Protection, protected_by
from pipeline.web.http import openapi
from pipeline.web.http.rate_limit import FailedAttempts
from pipeline.web.http.services import Services
from pipeline.web.public.form.brand import brand_of
from pipeline.web.public.form.form import browser_language
from pipeline.web.public.form.links import Closed
from pipeline.web.public.form.pages import PROBLEMS, Pages, ScorecardView

_MOST_CHARACTERS = 100  # of a token
_CLOSED = openapi.pages(
    {
        404: "The link does not work, or no longer",
        429: "Too many links from this address do not work",
        503: "Unavailable for now",
    }
)
_Request = Request[Any, Any, Any]


def routes(services: Services) -> list[HTTPRouteHandler]:
    """`GET /s/{token}`."""
    pages, failed = Pages(brand_of(services.settings)), FailedAttempts(services.settings.max_wrong_links_per_minute)

    @get(
        "/s/{token:str}",
        media_type=MediaType.HTML,
        summary="Open the scorecard of an account",
        responses=_CLOSED,
        exception_handlers=PROBLEMS,
        opt={**protected_by(Protection.LINK), "pages": pages},
    )
    async def scorecard(request: _Request, token: FromPath[str]) -> Response[str]:
        language = browser_language(request)
        found = await to_thread.run_sync(partial(_open, services, token))
        if found is None:
            return pages.closed(request, Closed(wait=failed.count(request)), language)
        if isinstance(found, Closed):
            return pages.closed(request, found, language)
        return pages.scorecard(found, language)

    return [scorecard]


def _open(services: Services, token: str) -> ScorecardView | Closed | None:
    """What a token opens; None: there is no such link, or it was revoked."""
    if len(token) > _MOST_CHARACTERS or not token.isascii():
        return None
    with reading(services.store.engine) as connection:
        opened = scorecards.open_link(connection, digest_of(token), services.now())
        if opened is None:
            return None
        if opened.card is None:
            return Closed(expired="scorecard")
        return ScorecardView(opened.card, clock_of(connection), opened.ends_at)
