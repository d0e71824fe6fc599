"""The page of the demo's phones: each message as its recipient sees it, answered by text or by opening its link."""

import re
import secrets
from collections.abc import Sequence
from datetime import UTC, datetime
from hashlib import sha256
from itertools import groupby
from typing import Any, NamedTuple

from anyio import to_thread
from litestar import MediaType, Request, Response, get, post
from litestar.handlers import HTTPRouteHandler
from litestar.response import Redirect
from sqlalchemy import Connection

from pipeline.consumers.conversation.texts import Inbound
from pipeline.domain.access.permissions import Permission
from pipeline.domain.answers.replies import MAX_TEXT
from pipeline.store.asks.inbound_messages import newest_texts
from pipeline.store.asks.phone_messages import SentMessage, newest_messages
from pipeline.store.db.engine import reading
from pipeline.store.people.keys import open_words
from pipeline.store.people.vault import Vault
from pipeline.web.auth.access import needs, principal_of
from pipeline.web.auth.guard import csrf_of
from pipeline.web.http.forms import printable, read_form
from pipeline.web.http.problems import Problem
from pipeline.web.http.services import Services
from pipeline.web.internal.layout import page_environment
from pipeline.web.public.inbound import handle_text

SOURCE = "phone"
MAX_BODY = 64 << 10  # bytes
_MAX_MESSAGES = 60  # of ours, the newest; and as many texts
_MAX_PHONES = 12
_LINK = re.compile(r"(https?://[^\s<>\"]+)")
_TOKEN = re.compile(r"[A-Za-z0-9_-]{16,64}", re.ASCII)
_MAX_FIELDS = 20  # of one submission
_Request = Request[Any, Any, Any]
_NEEDS = needs(Permission.DEMO_PHONES)
_PASSIVE = needs(Permission.DEMO_PHONES, passive=True)


class Bubble(NamedTuple):
    """One message on a screen. `parts` alternate between text and links."""

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
        """The time of the newest message."""
        return self.bubbles[-1].at


def routes(services: Services) -> list[HTTPRouteHandler]:
    """The handlers of `/phone`."""

    def _screens() -> list[Screen]:
        with reading(services.store.engine) as connection:
            return screens(connection, services.store.vault)

    @get("/phone", opt=_NEEDS, media_type=MediaType.HTML, include_in_schema=False)
    async def show(request: _Request) -> Response[str]:
        """All phones, the one with the newest message first."""
        return _page("phone.html.j2", request, await to_thread.run_sync(_screens))

    @get("/phone/screens", opt=_PASSIVE, media_type=MediaType.HTML, include_in_schema=False)
    async def refresh(request: _Request) -> Response[str]:
        """The phones without the page around them, for its periodic update; 304 if no message came."""
        found = await to_thread.run_sync(_screens)
        tag = _tag(found)
        if request.headers.get("if-none-match") == tag:
            return Response("", status_code=304, headers={"etag": tag})
        return _page("phone_screens.html.j2", request, found)

    @post("/phone/reply", opt=_NEEDS, status_code=303, request_max_body_size=MAX_BODY, include_in_schema=False)
    async def reply(request: _Request) -> Redirect:
        """A text from one of the phones. The same submission twice counts once."""
        fields = dict(await read_form(request, _MAX_FIELDS))
        number, submission = fields.get("number", ""), fields.get("submission", "")
        text = printable(fields.get("text", ""))[:MAX_TEXT].rstrip()
        digest = services.store.vault.phone_digest(number)
        if digest is None:
            raise Problem(400, "not a phone number", "number")
        if not _TOKEN.fullmatch(submission):
            raise Problem(400, "not a submission of this page", "submission")
        if text:
            await handle_text(services, Inbound(SOURCE, submission, digest, text, services.now()))
        return Redirect(f"/phone#{anchor(number)}", status_code=303)

    return [show, refresh, reply]


def screens(connection: Connection, vault: Vault) -> list[Screen]:
    """Every phone with its messages in the order of time, ours and theirs; the phone with the newest message first."""
    sent = newest_messages(connection, vault, _MAX_MESSAGES)
    numbers: dict[str, SentMessage] = {}
    for message in sent:
        numbers.setdefault(message.number, message)
    by_digest = {vault.phone_digest(number): number for number in numbers}
    shown = [(message.number, Bubble(message.sent_at, True, _LINK.split(message.text))) for message in reversed(sent)]
    texts = newest_texts(connection, SOURCE, _MAX_MESSAGES)
    words = open_words(connection, vault, [text.text.decode() for text in texts])
    for text in reversed(texts):
        number = by_digest.get(text.sender)
        said = words.get(text.text.decode())
        if number is None or said is None:
            continue
        shown.append((number, Bubble(text.received_at, False, [said])))
        if text.reply is not None:
            shown.append((number, Bubble(text.received_at, True, _LINK.split(text.reply))))
    shown.sort(key=lambda item: (item[0], item[1].at))  # stable: a reply stays after the text that it answers
    found = [
        Screen(numbers[number].name, number, [bubble for _, bubble in group], secrets.token_urlsafe(16))
        for number, group in groupby(shown, key=lambda item: item[0])
    ]
    return sorted(found, key=lambda screen: screen.newest, reverse=True)[:_MAX_PHONES]


def anchor(number: str) -> str:
    """The id of a phone's section on the page."""
    return f"phone-{number.lstrip('+')}"


def _tag(found: Sequence[Screen]) -> str:
    shown = repr([(screen.number, screen.bubbles) for screen in found])
    return f'"{sha256(shown.encode()).hexdigest()[:32]}"'


def _page(template: str, request: _Request, found: Sequence[Screen]) -> Response[str]:
    shown = {"screens": found, "anchor": anchor, "most": MAX_TEXT}
    viewer, csrf = principal_of(request), csrf_of(request)
    page = _environment.get_template(template).render(viewer=viewer, csrf=csrf, **shown)
    return Response(page, media_type=MediaType.HTML, headers={"etag": _tag(found)})


def _clock(moment: datetime) -> str:
    return f"{moment.astimezone(UTC):%H:%M}"


_environment = page_environment("pipeline.web.internal.demo_phone")
_environment.filters["clock"] = _clock
