"""The mini-form behind the link in a question: what arrived, how, a score, a word. Reading it records nothing.

Mail scanners and previews open links, so only a POST counts.
"""

import re
import secrets
from collections.abc import Callable, Mapping, Sequence
from datetime import UTC, datetime
from functools import lru_cache, partial
from hashlib import sha256
from typing import Any, NamedTuple
from urllib.parse import parse_qsl

import msgspec
from anyio import to_thread
from babel.dates import format_date
from jinja2 import Environment, PackageLoader, StrictUndefined
from litestar import MediaType, Request, Response, get, post
from litestar.exceptions import ClientException
from litestar.handlers import HTTPRouteHandler
from litestar.params import FromPath

from pipeline.consumers.intake import Incoming
from pipeline.domain.answers.replies import MAX_TEXT
from pipeline.domain.events.contract import Condition, Score
from pipeline.domain.events.times import zone
from pipeline.notifiers.wording.languages import accepted, languages, own_name, spoken, translations
from pipeline.store.asks.conversations import Said, Standing, standing
from pipeline.store.db.engine import reading
from pipeline.web.http.assets import asset
from pipeline.web.http.services import Services
from pipeline.web.public.form.links import SOURCE, Closed, Link, Links

MAX_BODY = 64 << 10  # bytes
ARRIVALS = ("on_time", "late", "not_received")
CONDITIONS: tuple[Condition, ...] = ("incomplete", "damaged", "wrong", "papers_missing")
_DATES = {"en": "en_001"}  # the world's English: the day before the month
_UNPRINTABLE = re.compile(r"[\x00-\x08\x0b-\x1f\x7f\ud800-\udfff]")
_Request = Request[Any, Any, Any]


class Filled(NamedTuple):
    """A form as it was sent or is first shown: the choices made, and what is wrong with them by field."""

    arrival: str | None = None
    goods: tuple[str, ...] = ()
    score: str | None = None
    comment: str = ""
    errors: Mapping[str, str] = {}


def routes(services: Services) -> list[HTTPRouteHandler]:
    """The handlers of `/f/{token}`."""
    links = Links(services)

    @get("/f/{token:str}", media_type=MediaType.HTML, name="form")
    async def show(request: _Request, token: FromPath[str]) -> Response[str]:
        """The form, or what was recorded by it. Changes nothing, however often and by whomever it is opened."""
        found = await links.open(request, token)
        if isinstance(found, Closed):
            return _closed(request, found)
        language = _language(request, found, request.query_params.get("lang", ""))
        if found.standing is not None and "amend" not in request.query_params:
            return _page("form_recorded.html.j2", language, _recorded(found, language, found.standing, words=False))
        return _page("form.html.j2", language, _form(found, language, _begun(found.standing)))

    @post("/f/{token:str}", media_type=MediaType.HTML, status_code=200, request_max_body_size=MAX_BODY)
    async def take(request: _Request, token: FromPath[str]) -> Response[str]:
        """Record an answer. The same submission sent twice counts once; another one amends it, and both are kept."""
        found = await links.open(request, token)
        if isinstance(found, Closed):
            return _closed(request, found)
        fields = _fields(await request.body())
        language = _language(request, found, fields.get("lang", [""])[0])
        filled = _check(fields, translations(language).gettext)
        if filled.errors:
            return _page("form.html.j2", language, _form(found, language, filled), 422)
        said = _said(filled, found.standing)
        event = _event(found, fields.get("submission", [""])[0], filled, said, services.now())
        await services.submit([event])
        after = await to_thread.run_sync(partial(_again, services, found)) or Standing(said, services.now(), 1)
        return _page("form_recorded.html.j2", language, _recorded(found, language, after, words=True))

    return [show, take]


def _again(services: Services, link: Link) -> Standing | None:
    with reading(services.engine) as connection:
        return standing(connection, link.order_id, link.contact_id)


def _language(request: _Request, link: Link, chosen: str) -> str:
    """What the reader chose, else the contact's language, else the browser's."""
    wished = chosen if chosen in languages() else None
    return spoken(wished, link.language, *accepted(request.headers.get("accept-language")))


def _fields(body: bytes) -> dict[str, list[str]]:
    """The fields of a form. Raises ClientException where there is nothing that could be one."""
    try:
        pairs = parse_qsl(body.decode("ascii"), keep_blank_values=True, errors="replace", max_num_fields=60)
    except ValueError:
        raise ClientException("the body is not a form as browsers send it") from None
    fields: dict[str, list[str]] = {}
    for name, value in pairs:
        fields.setdefault(name, []).append(value)
    return fields


def _check(fields: Mapping[str, Sequence[str]], say: Callable[[str], str]) -> Filled:
    """The choices, and what is wrong with them in the reader's language."""
    arrival = fields.get("arrival", [""])[-1] or None
    goods = tuple(dict.fromkeys(fields.get("goods", [])))
    score = fields.get("score", [""])[-1] or None
    comment = _UNPRINTABLE.sub("", fields.get("comment", [""])[-1].replace("\r\n", "\n")).strip()
    errors: dict[str, str] = {}
    if arrival not in ARRIVALS:
        errors["arrival"] = say("Please say whether it arrived.")
    if not set(goods) <= {"complete", *CONDITIONS}:
        errors["goods"] = say("Please choose from the list.")
    elif "complete" in goods and len(goods) > 1 and arrival != "not_received":
        errors["goods"] = say("Choose either “All complete and in order” or what was wrong.")
    if score is not None and score not in {str(n) for n in range(11)}:
        errors["score"] = say("Please choose a number from 0 to 10.")
    if len(comment) > MAX_TEXT:
        errors["comment"] = say("Please keep it to %(most)d characters; these are %(n)d.") % {
            "most": MAX_TEXT,
            "n": len(comment),
        }
    return Filled(arrival, goods, score, comment, errors)


def _begun(last: Standing | None) -> Filled:
    """The form as it is first shown: what stands is chosen already. Words are not shown: links are passed on."""
    if last is None:
        return Filled()
    said = last.said
    goods = said.conditions or (("complete",) if said.complete else ())
    score = str(said.score.value) if said.score is not None and said.score.scale == 10 else None
    return Filled(said.arrival, tuple(goods), score)


def _said(filled: Filled, last: Standing | None) -> Said:
    """The whole answer. Words left empty leave those that stand."""
    came = filled.arrival != "not_received"
    conditions = tuple(name for name in CONDITIONS if came and name in filled.goods)
    complete = False if conditions else True if came and "complete" in filled.goods else None
    score = None if filled.score is None else Score(int(filled.score))
    return Said(filled.arrival, complete, conditions, score, filled.comment or (last.said.comment if last else None))


def _event(link: Link, submission: str, filled: Filled, said: Said, now: datetime) -> Incoming:
    """The answer as an event. Its id comes from what was sent: the same submission again is the same event."""
    sent = "\n".join([link.token_hash, submission, repr(filled)])
    event = {
        "specversion": "1.0",
        "id": sha256(sent.encode("utf-8", "replace")).hexdigest()[:32],
        "source": SOURCE,
        "type": "feedback.received",
        "time": now,
        "data": {
            "order_id": link.order_id,
            "contact_id": link.contact_id,
            "channel": "form",
            "answered_at": now,
            "arrival": said.arrival,
            "complete": said.complete,
            "condition": said.conditions,
            "score": said.score,
            "comment": said.comment,
        },
    }
    return Incoming(msgspec.json.encode(event), "feedback", "form", None, now)


def _form(link: Link, language: str, filled: Filled) -> dict[str, object]:
    return {
        "order": link.order_id,
        "missing": link.purpose == "missing_scan",
        "filled": filled,
        "again": link.standing is not None,
        "words_stand": bool(link.standing and link.standing.said.comment),
        "submission": secrets.token_urlsafe(16),
        "conditions": CONDITIONS,
        "most": MAX_TEXT,
        "others": _others(language),
    }


def _recorded(link: Link, language: str, last: Standing, words: bool) -> dict[str, object]:
    return {
        "order": link.order_id,
        "said": last.said,
        "number": last.number,
        "at": None if last.answered_at is None else _when(last.answered_at, link.timezone, language),
        "words": words,
        "others": _others(language),
    }


def _when(moment: datetime, timezone: str | None, language: str) -> str:
    """A moment as the contact's clock shows it, the zone named: "2 March 2026, 13:00 (Europe/Paris)"."""
    there = moment.astimezone(zone(timezone) if timezone else UTC)
    date = format_date(there, "long", locale=_DATES.get(language, language))
    return f"{date}, {there:%H:%M} ({timezone or 'UTC'})"


def _others(language: str) -> list[tuple[str, str]]:
    return [(name, own_name(name)) for name in languages() if name != language]


def _closed(request: _Request, closed: Closed) -> Response[str]:
    """The same page for a link that never was and one that is used up; its former holder gets a kind word more."""
    language = spoken(*accepted(request.headers.get("accept-language")))
    if closed.wait:
        page = _page("form_wait.html.j2", language, {}, 429)
        page.set_header("retry-after", str(closed.wait))
        return page
    return _page("form_closed.html.j2", language, {"expired": closed.expired}, 404)


def _page(template: str, language: str, values: Mapping[str, object], status: int = 200) -> Response[str]:
    page = _environment(language).get_template(template).render(values, language=language)
    return Response(page, status_code=status, media_type=MediaType.HTML, headers={"content-language": language})


@lru_cache
def _environment(language: str) -> Environment:
    environment = Environment(
        loader=PackageLoader("pipeline.web"),
        undefined=StrictUndefined,
        autoescape=True,
        extensions=["jinja2.ext.i18n"],
        trim_blocks=True,
        lstrip_blocks=True,
    )
    environment.globals["asset"] = asset
    environment.install_gettext_translations(translations(language), newstyle=True)  # type: ignore[attr-defined]
    return environment
