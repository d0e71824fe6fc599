"""The customer's form behind the link in a question: arrival, condition, score and comment.

Mail scanners and link previews open links, so GET records nothing; only POST does.
"""

import secrets
from collections.abc import Mapping
from datetime import UTC, datetime
from functools import lru_cache, partial
from typing import Any

from anyio import to_thread
from babel.dates import format_date
from jinja2 import Environment
from litestar import MediaType, Request, Response, get, post
from litestar.handlers import HTTPRouteHandler
from litestar.params import FromPath

from pipeline.domain.access.principal import SYSTEM
from pipeline.domain.answers.replies import MAX_TEXT
from pipeline.domain.events.times import zone
from pipeline.notifiers.wording.languages import accepted_languages, best_language, languages, native_name, translations
from pipeline.store.db.engine import reading
from pipeline.store.reads.answers import CurrentAnswer, current_answer, opened_current
from pipeline.web.auth.access import Protection, protected_by
from pipeline.web.http.forms import read_form
from pipeline.web.http.openapi import pages, problems
from pipeline.web.http.services import Services
from pipeline.web.http.templating import environment
from pipeline.web.public.form.links import Closed, Link, Links, admit
from pipeline.web.public.form.submission import CONDITIONS, Submission, event_of, prefilled, statement_of, validate

MAX_BODY = 64 << 10  # bytes
_MAX_FIELDS = 60  # of one submission, far more than the form has
_DATE_LOCALES = {"en": "en_001"}  # international English: the day before the month
_CLOSED = pages({404: "The link does not work, or no longer", 429: "Too many links from this address do not work"})
_Request = Request[Any, Any, Any]
_BY_LINK = protected_by(Protection.LINK)


def routes(services: Services) -> list[HTTPRouteHandler]:
    """`GET` and `POST /f/{token}`."""
    links = Links(services)

    @get(
        "/f/{token:str}",
        opt=_BY_LINK,
        media_type=MediaType.HTML,
        name="form",
        summary="Open the form of a question",
        responses=_CLOSED,
    )
    async def show_form(request: _Request, token: FromPath[str]) -> Response[str]:
        """The form, or the answer that is recorded already. Changes nothing, however often it is opened."""
        link = await links.open(request, token)
        if isinstance(link, Closed):
            return _closed(request, link)
        language = _language(request, link, request.query_params.get("lang", ""))
        if link.current is not None and "amend" not in request.query_params:
            return _page("recorded.html.j2", language, _recorded(link, language, link.current, just_sent=False))
        submission = prefilled(link.current.statement if link.current else None)
        return _page("form.html.j2", language, _form(link, language, submission))

    @post(
        "/f/{token:str}",
        opt=_BY_LINK,
        media_type=MediaType.HTML,
        status_code=200,
        request_max_body_size=MAX_BODY,
        summary="Answer a question",
        responses=_CLOSED | pages({422: "The form again: it says what is missing"}) | problems(400),
    )
    async def submit_form(request: _Request, token: FromPath[str]) -> Response[str]:
        """Records an answer. The same submission sent twice counts once; another one amends it, and both are kept."""
        link = await links.open(request, token)
        if isinstance(link, Closed):
            return _closed(request, link)
        fields = await read_form(request, _MAX_FIELDS)
        hidden = dict(reversed(fields))
        language = _language(request, link, hidden.get("lang", ""))
        submission = validate(fields, translations(language).gettext)
        if submission.errors:
            return _page("form.html.j2", language, _form(link, language, submission), 422)
        now = services.now()
        stated = statement_of(submission, link.current.statement if link.current else None)
        event_id, event = event_of(link, hidden.get("submission", ""), submission, stated, now)
        if not await to_thread.run_sync(partial(admit, services.store.engine, link, event_id)):
            return _closed(request, Closed())
        await services.submit([event])
        # None in a cluster, where a worker stores the answer a moment later.
        current = await to_thread.run_sync(partial(_read_back, services, link)) or CurrentAnswer(stated, now, 1)
        return _page("recorded.html.j2", language, _recorded(link, language, current, just_sent=True))

    return [show_form, submit_form]


def _read_back(services: Services, link: Link) -> CurrentAnswer | None:
    with reading(services.store.engine) as connection:
        current = current_answer(connection, SYSTEM, link.order_id, link.contact_id)
        return opened_current(connection, services.store.vault, current)


def _language(request: _Request, link: Link, chosen: str) -> str:
    """The language that the reader chose, else the contact's, else the browser's."""
    wished = chosen if chosen in languages() else None
    return best_language(wished, link.language, *accepted_languages(request.headers.get("accept-language")))


def _form(link: Link, language: str, submission: Submission) -> dict[str, object]:
    return {
        "order": link.order_id,
        "missing": link.purpose == "missing_scan",
        "filled": submission,
        "again": link.current is not None,
        "has_comment": bool(link.current and link.current.statement.comment),
        "submission": secrets.token_urlsafe(16),
        "conditions": CONDITIONS,
        "most": MAX_TEXT,
        "other_languages": _other_languages(language),
    }


def _recorded(link: Link, language: str, current: CurrentAnswer, just_sent: bool) -> dict[str, object]:
    answered_at = current.answered_at
    return {
        "order": link.order_id,
        "stated": current.statement,
        "number": current.number,
        "at": None if answered_at is None else _local_time(answered_at, link.timezone, language),
        "just_sent": just_sent,
        "other_languages": _other_languages(language),
    }


def _local_time(at: datetime, timezone: str | None, language: str) -> str:
    """A time in the contact's time zone, which is named: "2 March 2026, 13:00 (Europe/Paris)"."""
    local = at.astimezone(zone(timezone) if timezone else UTC)
    date = format_date(local, "long", locale=_DATE_LOCALES.get(language, language))
    return f"{date}, {local:%H:%M} ({timezone or 'UTC'})"


def _other_languages(language: str) -> list[tuple[str, str]]:
    return [(name, native_name(name)) for name in languages() if name != language]


def _closed(request: _Request, closed: Closed) -> Response[str]:
    """The page of a link that does not work. A link that never existed and one that is used up look the same."""
    language = best_language(*accepted_languages(request.headers.get("accept-language")))
    if closed.wait:
        page = _page("wait.html.j2", language, {}, 429)
        page.set_header("retry-after", str(closed.wait))
        return page
    return _page("closed.html.j2", language, {"expired": closed.expired}, 404)


def _page(template: str, language: str, values: Mapping[str, object], status: int = 200) -> Response[str]:
    page = _environment(language).get_template(template).render(values, language=language)
    return Response(page, status_code=status, media_type=MediaType.HTML, headers={"content-language": language})


@lru_cache
def _environment(language: str) -> Environment:
    return environment("pipeline.web.public.form", language=language)
