"""The customer's form behind the link in a question: arrival, condition, score and comment.

Mail scanners and link previews open links, so GET records nothing; only POST does. A link with an option (`?a=2`) shows
the form with that option selected.
"""

from functools import partial
from typing import Any

from anyio import to_thread
from litestar import MediaType, Request, Response, get, post
from litestar.handlers import HTTPRouteHandler
from litestar.params import FromPath

from pipeline.consumers.intake import Incoming
from pipeline.domain.access.principal import SYSTEM
from pipeline.domain.events.contract import SETTLED
from pipeline.notifiers.wording.languages import accepted_languages, best_language, languages, translations
from pipeline.store.db.engine import reading
from pipeline.store.reads.answers import CurrentAnswer, current_answer, opened_current
from pipeline.web.auth.access import OPEN, Protection, protected_by
from pipeline.web.http import openapi
from pipeline.web.http.forms import read_form
from pipeline.web.http.services import Services
from pipeline.web.public.form import brand, draft
from pipeline.web.public.form.links import SOURCE, Closed, Link, Links, admit
from pipeline.web.public.form.pages import PROBLEMS, Pages
from pipeline.web.public.form.response import WrittenBack, validate_words, words_event
from pipeline.web.public.form.settled import OPTIONS, SettledSubmission, settled_event, validate_settled
from pipeline.web.public.form.submission import (
    Submission,
    entered,
    event_of,
    one_tap,
    prefilled,
    statement_of,
    validate,
)

MAX_BODY = 64 << 10  # bytes
_MAX_FIELDS = 60  # of one submission, far more than the form has
_CLOSED = openapi.pages(
    {404: "The link does not work, or no longer", 429: "Too many links from this address do not work"}
)
_Request = Request[Any, Any, Any]
_BY_LINK = protected_by(Protection.LINK)


def routes(services: Services) -> list[HTTPRouteHandler]:
    """`GET` and `POST /f/{token}`, and what people find at `/` and `/f/`."""
    links, pages = Links(services), Pages(brand.brand_of(services.settings))

    @get(["/", "/f"], opt=OPEN, media_type=MediaType.HTML, include_in_schema=False, name="start")
    async def show_start(request: _Request) -> Response[str]:
        return pages.start(request, browser_language(request))

    @get(
        "/f/{token:str}",
        media_type=MediaType.HTML,
        name="form",
        summary="Open the form of a question",
        responses=_CLOSED,
        exception_handlers=PROBLEMS,
        opt={**_BY_LINK, "pages": pages},
    )
    async def show_form(request: _Request, token: FromPath[str]) -> Response[str]:
        """The form, or the answer that is recorded already. Changes nothing, however often it is opened."""
        link = await links.open(request, token)
        if isinstance(link, Closed):
            return pages.closed(request, link, browser_language(request))
        language = _language(request, link, request.query_params.get("lang", ""))
        if link.response is not None:
            return pages.response(link, language, WrittenBack())
        if link.purpose == SETTLED:
            tapped = request.query_params.get("a", "")
            return pages.settled(link, language, SettledSubmission(tapped if tapped in OPTIONS else ""))
        shown = _shown(request, link)
        if shown is None and link.current is not None:
            return pages.recorded(link, language, link.current, just_sent=False)
        chosen = "a" in request.query_params
        return pages.form(link, language, shown or Submission(), chosen=chosen)

    @post(
        "/f/{token:str}",
        media_type=MediaType.HTML,
        status_code=200,
        request_max_body_size=MAX_BODY,
        summary="Answer a question",
        responses=_CLOSED | openapi.pages({422: "The form again: it says what is missing"}) | openapi.problems(400),
        exception_handlers=PROBLEMS,
        opt={**_BY_LINK, "pages": pages},
    )
    async def submit_form(request: _Request, token: FromPath[str]) -> Response[str]:
        """Records an answer. The same submission sent twice counts once; another one amends it, and both are kept.

        With `switch`, a language, nothing is recorded: the form is shown in that language with what was entered.
        """
        link = await links.open(request, token)
        if isinstance(link, Closed):
            return pages.closed(request, link, browser_language(request))
        fields = await read_form(request, _MAX_FIELDS)
        hidden = dict(reversed(fields))
        secure = services.settings.public_url.startswith("https://")
        if hidden.get("switch") in languages():
            return pages.switched(link, hidden["switch"], draft.cookies_of(entered(fields), link.path, secure))
        language = _language(request, link, hidden.get("lang", ""))
        if link.response is not None:
            return await _record_words(link, language, fields, hidden.get("submission", ""))
        if link.purpose == SETTLED:
            return await _record_settled(link, language, fields, hidden.get("submission", ""))
        submission = validate(fields, translations(language).gettext)
        if submission.errors:
            page = pages.form(link, language, submission, status=422)
            return _with_draft(page, submission, link, secure)
        page = await _record(link, language, hidden.get("submission", ""), submission)
        for cookie in draft.no_cookies(link.path, secure) if draft.draft_in(request.cookies) else ():
            page.set_cookie(cookie)
        return page

    async def _record(link: Link, language: str, form_id: str, submission: Submission) -> Response[str]:
        now = services.now()
        stated = statement_of(submission, link.current.statement if link.current else None)
        event_id, event = event_of(link, form_id, submission, stated, now)
        if not await _submitted(link, event_id, event):
            return pages.closed(None, Closed(), language)
        # None in a cluster, where a worker stores the answer a moment later.
        current = None if link.by_anyone else await to_thread.run_sync(partial(_read_back, services, link))
        sent = current or CurrentAnswer(stated, now, 1, SOURCE, event_id)
        return pages.recorded(link, language, sent, just_sent=True)

    async def _submitted(link: Link, event_id: str, event: Incoming) -> bool:
        """Store an answer, unless the link has had as many as it takes."""
        if not await to_thread.run_sync(partial(admit, services.store.engine, link, event_id)):
            return False
        await services.submit([event])
        return True

    async def _record_settled(link: Link, language: str, fields: list[tuple[str, str]], form_id: str) -> Response[str]:
        sent = validate_settled(fields, translations(language).gettext)
        if sent.error:
            return pages.settled(link, language, sent, status=422)
        event_id, event = settled_event(link, form_id, sent, services.now())
        if not await _submitted(link, event_id, event):
            return pages.closed(None, Closed(), language)
        return pages.settled(link, language, sent, said=OPTIONS[sent.chosen])

    async def _record_words(link: Link, language: str, fields: list[tuple[str, str]], form_id: str) -> Response[str]:
        sent = validate_words(fields, translations(language).gettext)
        if sent.error:
            return pages.response(link, language, sent, status=422)
        event_id, event = words_event(link, form_id, sent, services.now())
        if not await _submitted(link, event_id, event):
            return pages.closed(None, Closed(), language)
        return pages.response(link, language, sent, just_sent=True)

    return [show_start, show_form, submit_form, *brand.routes(services.settings)]


def browser_language(request: _Request) -> str:
    """The language that a reader chose, else the browser's."""
    wished = request.query_params.get("lang")
    header = accepted_languages(request.headers.get("accept-language"))
    return best_language(wished if wished in languages() else None, *header)


def _language(request: _Request, link: Link, chosen: str) -> str:
    """The language that the reader chose, else the contact's, else the browser's."""
    wished = chosen if chosen in languages() else None
    return best_language(wished, link.language, *accepted_languages(request.headers.get("accept-language")))


def _shown(request: _Request, link: Link) -> Submission | None:
    """What the form shows as entered; None: nothing was chosen, and the answer that is recorded is shown instead."""
    current = link.current.statement if link.current else None
    drafted = draft.draft_in(request.cookies)
    tapped = one_tap(request.query_params.get("a", ""), current)
    if tapped is not None:
        return tapped if drafted is None else drafted
    if link.current is not None and "amend" not in request.query_params:
        return None
    return drafted or prefilled(current)


def _with_draft(page: Response[str], submission: Submission, link: Link, secure: bool) -> Response[str]:
    for cookie in draft.cookies_of(submission, link.path, secure):
        page.set_cookie(cookie)
    return page


def _read_back(services: Services, link: Link) -> CurrentAnswer | None:
    with reading(services.store.engine) as connection:
        current = current_answer(connection, SYSTEM, link.order_id, link.contact_id)
        return opened_current(connection, services.store.vault, current)
