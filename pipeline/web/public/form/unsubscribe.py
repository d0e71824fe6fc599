"""Ends messages by a link: for people a page with a button, for their mail programs one POST (RFC 8058).

Mail scanners open links, so GET changes nothing.
"""

from datetime import timedelta
from functools import partial
from typing import Any

from anyio import to_thread
from litestar import MediaType, Request, Response, get, post
from litestar.handlers import HTTPRouteHandler
from litestar.params import FromPath

from pipeline.domain.asking.ask_states import hashed
from pipeline.store.asks.links import unsubscribable
from pipeline.store.db.engine import reading
from pipeline.store.people import contact_opt_outs
from pipeline.store.people.opt_outs import OptChange
from pipeline.web.auth.access import Protection, protected_by
from pipeline.web.http import openapi
from pipeline.web.http.rate_limit import FailedAttempts
from pipeline.web.http.services import Services
from pipeline.web.public.form.brand import brand_of
from pipeline.web.public.form.form import browser_language
from pipeline.web.public.form.links import Closed
from pipeline.web.public.form.pages import PROBLEMS, Pages

SOURCE = "unvarnished/unsubscribe"
VALID = timedelta(days=60)  # from sending; laws ask for thirty
MAX_BODY = 64 << 10  # bytes
_CLOSED = openapi.pages(
    {
        400: "The request cannot be read",
        404: "The link does not work, or no longer",
        413: "The body is too large",
        429: "Too many links from this address do not work",
        503: "Unavailable for now",
    }
)
_Request = Request[Any, Any, Any]


def routes(services: Services) -> list[HTTPRouteHandler]:
    """`GET` and `POST /u/{token}`."""
    pages, failed = Pages(brand_of(services.settings)), FailedAttempts(services.settings.max_wrong_links_per_minute)

    by_link = {**protected_by(Protection.LINK), "pages": pages}

    @get("/u/{token:str}", media_type=MediaType.HTML, responses=_CLOSED, exception_handlers=PROBLEMS, opt=by_link)
    async def show_unsubscribe(request: _Request, token: FromPath[str]) -> Response[str]:
        """The page that asks whether messages should end."""
        return await _answer(request, token, partial(_is_open, services, token), stopped=False)

    @post(
        "/u/{token:str}",
        media_type=MediaType.HTML,
        status_code=200,
        request_max_body_size=MAX_BODY,
        responses=_CLOSED,
        exception_handlers=PROBLEMS,
        opt=by_link,
    )
    async def unsubscribe(request: _Request, token: FromPath[str]) -> Response[str]:
        """Records that a person wants no messages on any of their addresses. Twice is as good as once."""
        return await _answer(request, token, partial(_opt_out, services, token), stopped=True)

    async def _answer(request: _Request, token: str, act: Any, *, stopped: bool) -> Response[str]:
        language = browser_language(request)
        if await to_thread.run_sync(act):
            return pages.unsubscribe(language, stopped=stopped)
        return pages.closed(request, Closed(wait=failed.count(request)), language)

    return [show_unsubscribe, unsubscribe]


def _is_open(services: Services, token: str) -> bool:
    with reading(services.store.engine) as connection:
        return unsubscribable(connection, hashed(token), services.now() - VALID) is not None


def _opt_out(services: Services, token: str) -> bool:
    """Opt out the person behind a token, at every address. False: there is no such link, or it is too old."""
    now, token_hash = services.now(), hashed(token)
    with services.store.engine.begin() as connection:
        one = unsubscribable(connection, token_hash, now - VALID)
        if one is not None:
            change = OptChange(one.recipient or "", SOURCE, token_hash, True, now)
            contact_opt_outs.record(connection, (one.account_id, one.contact_id), change, {change.digest})
    return one is not None
