"""The pages that customers see, in their language: the form, the receipt, and what explains a link or an error."""

import logging
import secrets
from collections.abc import Callable, Mapping, Sequence
from datetime import UTC, datetime, time
from functools import lru_cache, partial
from hashlib import sha256
from http import HTTPStatus
from typing import Any, NamedTuple

from jinja2 import Environment
from litestar import MediaType, Request, Response
from litestar.datastructures import Cookie
from litestar.exceptions import HTTPException
from litestar.types import ExceptionHandlersMap
from sqlalchemy.exc import SQLAlchemyError

from pipeline.consumers.runtime.background import stack_frames
from pipeline.consumers.runtime.retries import is_transient
from pipeline.consumers.runtime.write_queue import NotStored
from pipeline.domain.answers.reading.requests import request_of
from pipeline.domain.answers.replies import MAX_TEXT
from pipeline.domain.cases.complaints import reasons_of
from pipeline.domain.events.times import zone
from pipeline.notifiers.wording.languages import (
    accepted_languages,
    best_language,
    is_right_to_left,
    languages,
    local_date,
    local_digits,
    local_number,
    local_share,
    local_time,
    native_name,
)
from pipeline.notifiers.wording.questions import response_text
from pipeline.store.reads.accounts.scorecards import Scorecard
from pipeline.store.reads.answers import CurrentAnswer
from pipeline.store.reads.deliveries import Delivery
from pipeline.web.http.templating import environment
from pipeline.web.public.form.brand import Brand
from pipeline.web.public.form.links import Closed, Link
from pipeline.web.public.form.response import WrittenBack
from pipeline.web.public.form.settled import SettledSubmission
from pipeline.web.public.form.submission import CONDITIONS, FIRST_CHOICES, Submission

_RETRY_AFTER = "60"  # seconds
_log = logging.getLogger(__name__)
_Request = Request[Any, Any, Any]


class ScorecardView(NamedTuple):
    """A scorecard, the day that its figures are of, and when its link ends."""

    card: Scorecard
    as_of: datetime
    ends_at: datetime


class Pages:
    """Renders the pages of one company."""

    def __init__(self, brand: Brand) -> None:
        self._brand = brand

    def form(
        self, link: Link, language: str, filled: Submission, *, chosen: bool = False, status: int = 200
    ) -> Response[str]:
        """The form. `chosen`: an option was selected by the link, and the person has yet to send it."""
        values = {
            "delivery": _described(link.delivery, language),
            "missing": link.purpose == "missing_scan",
            "by_anyone": link.by_anyone,
            "filled": filled,
            "chosen": chosen and filled.arrival is not None,
            "again": link.current is not None,
            "has_comment": bool(link.current and link.current.statement.comment),
            "submission": secrets.token_urlsafe(16),
            "first_choices": FIRST_CHOICES,
            "conditions": CONDITIONS,
            "most": MAX_TEXT,
            "action": link.path,
        }
        return self._page("form.html.j2", language, values, status)

    def switched(self, link: Link, language: str, cookies: Sequence[Cookie]) -> Response[str]:
        """Leads to the form in another language. The cookies hold what was entered."""
        amend = "&amend=1" if link.current is not None else ""
        made = Response(
            "", status_code=303, media_type=MediaType.HTML, headers={"location": f"{link.path}?lang={language}{amend}"}
        )
        for cookie in cookies:
            made.set_cookie(cookie)
        return made

    def recorded(self, link: Link, language: str, current: CurrentAnswer, *, just_sent: bool) -> Response[str]:
        """The answer that is recorded, as a receipt."""
        answered_at = current.answered_at
        values = {
            "delivery": _described(link.delivery, language),
            "by_anyone": link.by_anyone,
            "stated": current.statement,
            "number": current.number,
            "at": None if answered_at is None else _moment(answered_at, link.timezone, language),
            "reference": receipt_reference(current.source, current.event_id) if current.event_id else None,
            "just_sent": just_sent,
            "complains": bool(reasons_of(current.statement)),
            "opens_case": bool(reasons_of(current.statement, request_of(current.statement.comment))),
        }
        return self._page("recorded.html.j2", language, values)

    def settled(
        self, link: Link, language: str, sent: SettledSubmission, *, said: bool | None = None, status: int = 200
    ) -> Response[str]:
        """The form of the question whether it is settled. `said`: the answer that was just recorded."""
        values = {
            "delivery": _described(link.delivery, language),
            "chosen": sent.chosen,
            "comment": sent.comment,
            "error": sent.error,
            "too_long": sent.too_long,
            "said": said,
            "submission": secrets.token_urlsafe(16),
            "most": MAX_TEXT,
            "action": link.path,
        }
        return self._page("settled.html.j2", language, values, status)

    def response(
        self, link: Link, language: str, sent: WrittenBack, *, just_sent: bool = False, status: int = 200
    ) -> Response[str]:
        """The fixed text that the link was in, and a field to write back. `just_sent`: the words were just recorded."""
        said = response_text(language, link.response, link.order_id) if link.response is not None else ""
        values = {
            "said": said,
            "words": sent.words,
            "error": sent.error,
            "just_sent": just_sent,
            "submission": secrets.token_urlsafe(16),
            "most": MAX_TEXT,
            "action": link.path,
        }
        return self._page("response.html.j2", language, values, status)

    def closed(self, request: _Request | None, closed: Closed, language: str) -> Response[str]:
        """The page of a link that does not work. A link that never existed and one that is used up look the same."""
        if closed.wait:
            page = self._page("wait.html.j2", language, {}, HTTPStatus.TOO_MANY_REQUESTS)
            page.set_header("retry-after", str(closed.wait))
            return page
        return self._page("closed.html.j2", language, {"expired": closed.expired}, HTTPStatus.NOT_FOUND)

    def start(self, request: _Request, language: str) -> Response[str]:
        """What somebody reads who has no link."""
        return self._page("start.html.j2", language, {})

    def unsubscribe(self, language: str, *, stopped: bool) -> Response[str]:
        """The page that asks whether messages should end, or says that they have."""
        return self._page("unsubscribe.html.j2", language, {"stopped": stopped})

    def scorecard(self, shown: "ScorecardView", language: str) -> Response[str]:
        """The scorecard of an account."""
        first, last = (
            None if day is None else local_date(datetime.combine(day, time.min, UTC), language)
            for day in (shown.card.period.first, shown.card.period.last)
        )
        values = {
            "card": shown.card,
            "first": first,
            "last": last,
            "today": local_date(shown.as_of, language),
            "ends": local_date(shown.ends_at, language),
        }
        return self._page("scorecard.html.j2", language, values)

    def problem(self, language: str, status: int) -> Response[str]:
        """An error while a form was opened or sent. Nothing was recorded."""
        again_later = status >= HTTPStatus.INTERNAL_SERVER_ERROR
        page = self._page("problem.html.j2", language, {"again_later": again_later}, status)
        if again_later:
            page.set_header("retry-after", _RETRY_AFTER)
        return page

    def _page(self, template: str, language: str, values: Mapping[str, object], status: int = 200) -> Response[str]:
        page = _environment(language).get_template(template)
        others = [(name, native_name(name)) for name in languages() if name != language]
        body = page.render(
            values,
            language=language,
            right_to_left=is_right_to_left(language),
            other_languages=others,
            brand=self._brand,
        )
        return Response(body, status_code=status, media_type=MediaType.HTML, headers={"content-language": language})


def receipt_reference(source: str, event_id: str) -> str:
    """A short name of a recorded answer, which people can read to each other: "7F3A-91C2-55D0"."""
    digest = sha256(f"{source}\n{event_id}".encode("utf-8", "replace")).hexdigest()[:12].upper()
    return "-".join(digest[n : n + 4] for n in (0, 4, 8))


def _described(delivery: Delivery, language: str) -> dict[str, object]:
    """The order as a page shows it."""
    at = delivery.delivered_at
    return {
        "order": delivery.order_id,
        "date": None if at is None else local_date(_local(at, delivery.timezone), language),
        "carrier": delivery.carrier,
        "parcels": delivery.parcels,
    }


def _moment(at: datetime, timezone: str | None, language: str) -> str:
    """A time in the contact's time zone, which is named: "2 March 2026, 13:00 (Europe/Paris)"."""
    local = _local(at, timezone)
    return f"{local_date(local, language)}, {local_time(local, language)} ({timezone or 'UTC'})"


def _local(at: datetime, timezone: str | None) -> datetime:
    return at.astimezone(zone(timezone) if timezone else UTC)


_WRITTEN: Mapping[str, Callable[..., str]] = {"digits": local_digits, "number": local_number, "share": local_share}


@lru_cache
def _environment(language: str) -> Environment:
    filters = {name: partial(write, language=language) for name, write in _WRITTEN.items()}
    return environment("pipeline.web.public.form", language=language, filters=filters)


def _answer_people(request: _Request, error: Exception) -> Response[Any]:
    """An error as a page: the handlers of the listener answer programs."""
    if isinstance(error, HTTPException):
        status = error.status_code
    elif isinstance(error, NotStored) or (isinstance(error, SQLAlchemyError) and is_transient(error)):
        status = HTTPStatus.SERVICE_UNAVAILABLE
    else:
        status = HTTPStatus.INTERNAL_SERVER_ERROR
        _log.error("bug in %s %s: %s", request.method, request.scope.get("path_template"), stack_frames(error))
    pages: Pages = request.route_handler.opt["pages"]
    wished = accepted_languages(request.headers.get("accept-language"))
    return pages.problem(best_language(*wished), status)


PROBLEMS: ExceptionHandlersMap = {
    HTTPException: _answer_people,
    NotStored: _answer_people,
    SQLAlchemyError: _answer_people,
    Exception: _answer_people,
}
