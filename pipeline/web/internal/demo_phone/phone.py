"""The demo's phones: each message as its recipient would see it, to be answered by text or by opening its link."""

import re
import secrets
from collections.abc import Callable, Sequence
from datetime import UTC, datetime
from functools import lru_cache, partial
from hashlib import sha256
from itertools import groupby
from typing import Any, NamedTuple
from urllib.parse import parse_qsl

from anyio import to_thread
from jinja2 import Environment, PackageLoader, StrictUndefined
from litestar import MediaType, Request, Response, get, post
from litestar.handlers import HTTPRouteHandler
from litestar.response import Redirect
from sqlalchemy import Connection, and_, select

from pipeline.consumers.conversation import Inbound
from pipeline.domain.answers.replies import MAX_TEXT, PlainReader, Reader
from pipeline.store.asks.conversations import newest
from pipeline.store.db.engine import reading
from pipeline.store.people.vault import Vault
from pipeline.store.schema.tables import people, phone_messages
from pipeline.web.http.assets import asset
from pipeline.web.http.problems import Problem
from pipeline.web.http.services import Services
from pipeline.web.public.webhooks import converse

SOURCE = "phone"
MAX_BODY = 64 << 10  # bytes
_SHOWN = 60  # messages, the newest; and as many replies
_PHONES = 12  # side by side
_LINK = re.compile(r"(https?://[^\s<>\"]+)")
_TOKEN = re.compile(r"[A-Za-z0-9_-]{16,64}", re.ASCII)
_UNPRINTABLE = re.compile(r"[\x00-\x08\x0b-\x1f\x7f\ud800-\udfff]")
_Request = Request[Any, Any, Any]


class Message(NamedTuple):
    """A message we sent to a demo phone."""

    id: str
    sent_at: datetime
    number: str  # E.164
    name: str  # whose phone it is
    text: str


# The newest messages to phones, newest first, at most that many.
Messages = Callable[[Connection, int], Sequence[Message]]


class Bubble(NamedTuple):
    """One message on a screen. `parts` alternate between words and addresses."""

    at: datetime
    ours: bool
    parts: list[str]


class Screen(NamedTuple):
    """One phone."""

    name: str
    number: str
    bubbles: list[Bubble]
    submission: str

    @property
    def newest(self) -> datetime:
        """When it last rang."""
        return self.bubbles[-1].at


def sent_to_phones(vault: Vault, connection: Connection, limit: int) -> list[Message]:
    """The newest messages that were sent to the demo's phones, newest first."""
    shown, person = phone_messages.c, people.c
    columns = shown.id, shown.at, shown.number, shown.contact_id, shown.body, person.wrapped_key, person.name
    named = and_(person.account_id == shown.account_id, person.contact_id == shown.contact_id)
    query = select(*columns).join_from(phone_messages, people, named, isouter=True).where(shown.incoming.is_(False))
    rows = connection.execute(query.order_by(shown.at.desc(), shown.id).limit(limit))
    return [
        Message(id_, at, number, contact if sealed is None else vault.open(key, sealed), body)
        for id_, at, number, contact, body, key, sealed in rows
    ]


def routes(
    services: Services, messages: Messages | None = None, reader: Reader | None = None
) -> list[HTTPRouteHandler]:
    """The handlers of `/phone`."""
    reads = reader or PlainReader()
    sent = messages or partial(sent_to_phones, services.vault)

    def _screens() -> list[Screen]:
        with reading(services.engine) as connection:
            return screens(connection, services.vault, sent)

    @get("/phone", media_type=MediaType.HTML, include_in_schema=False)
    async def show() -> Response[str]:
        """All phones, the one that rang last first."""
        return _page("phone.html.j2", await to_thread.run_sync(_screens))

    @get("/phone/screens", media_type=MediaType.HTML, include_in_schema=False)
    async def freshen(request: _Request) -> Response[str]:
        """The phones alone, for a page that keeps itself fresh; 304 if nothing rang."""
        found = await to_thread.run_sync(_screens)
        tag = _tag(found)
        if request.headers.get("if-none-match") == tag:
            return Response("", status_code=304, headers={"etag": tag})
        return _page("phone_screens.html.j2", found, tag)

    @post("/phone/reply", status_code=303, request_max_body_size=MAX_BODY, include_in_schema=False)
    async def reply(request: _Request) -> Redirect:
        """A text from one of the phones. Sent twice by the same tap it counts once."""
        told = dict(parse_qsl((await request.body()).decode("ascii", "replace"), errors="replace", max_num_fields=20))
        number, submission = told.get("number", ""), told.get("submission", "")
        text = _UNPRINTABLE.sub("", told.get("text", "").replace("\r\n", "\n"))[:MAX_TEXT].strip()
        digest = services.vault.phone_digest(number)
        if digest is None:
            raise Problem(400, "not a phone number", "number")
        if not _TOKEN.fullmatch(submission):
            raise Problem(400, "not a submission of this page", "submission")
        if text:
            await converse(services, Inbound(SOURCE, submission, digest, text, services.now()), reads)
        return Redirect(f"/phone#{anchor(number)}", status_code=303)

    return [show, freshen, reply]


def screens(connection: Connection, vault: Vault, messages: Messages) -> list[Screen]:
    """Every phone with its messages, ours and theirs, in the order of time; the one that rang last comes first."""
    sent = messages(connection, _SHOWN)
    numbers: dict[str, Message] = {}
    for message in sent:
        numbers.setdefault(message.number, message)
    by_digest = {vault.phone_digest(number): number for number in numbers}
    said = [(message.number, Bubble(message.sent_at, True, _LINK.split(message.text))) for message in reversed(sent)]
    for heard in reversed(newest(connection, SOURCE, _SHOWN)):
        number = by_digest.get(heard.sender)
        if number is None:
            continue
        said.append((number, Bubble(heard.received_at, False, [vault.open_letter(heard.text).decode()])))
        if heard.reply is not None:
            said.append((number, Bubble(heard.received_at, True, _LINK.split(heard.reply))))
    said.sort(key=lambda item: (item[0], item[1].at))  # a reply stays behind the text that it answers
    found = [
        Screen(numbers[number].name, number, [bubble for _, bubble in group], secrets.token_urlsafe(16))
        for number, group in groupby(said, key=lambda item: item[0])
    ]
    return sorted(found, key=lambda screen: screen.newest, reverse=True)[:_PHONES]


def anchor(number: str) -> str:
    """A phone's place on the page."""
    return f"phone-{number.lstrip('+')}"


def _tag(found: Sequence[Screen]) -> str:
    shown = repr([(screen.number, screen.bubbles) for screen in found])
    return f'"{sha256(shown.encode()).hexdigest()[:32]}"'


def _page(template: str, found: Sequence[Screen], tag: str | None = None) -> Response[str]:
    page = _environment().get_template(template).render(screens=found, anchor=anchor, most=MAX_TEXT)
    return Response(page, media_type=MediaType.HTML, headers={"etag": tag or _tag(found)})


def _clock(moment: datetime) -> str:
    return f"{moment.astimezone(UTC):%H:%M}"


@lru_cache
def _environment() -> Environment:
    environment = Environment(
        loader=PackageLoader("pipeline.web"),
        undefined=StrictUndefined,
        autoescape=True,
        trim_blocks=True,
        lstrip_blocks=True,
    )
    environment.globals["asset"] = asset
    environment.filters["clock"] = _clock
    return environment
