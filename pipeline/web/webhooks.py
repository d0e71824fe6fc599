"""The provider's calls: texts from customers, and what became of ours. Nobody is believed without the signature.

The signature covers the address that was configured, not the one the request claims to have come to: proxies change
that one, and whoever forges a call can choose it. Everything is on disk before it is acknowledged.
"""

import hmac
import re
from collections.abc import Callable, Mapping, Sequence
from contextlib import suppress
from datetime import datetime
from functools import partial
from typing import Any, NamedTuple, TypeVar
from urllib.parse import parse_qsl

from anyio import to_thread
from litestar import Request, Response, post
from litestar.handlers import HTTPRouteHandler
from sqlalchemy import Connection
from twilio.request_validator import RequestValidator  # type: ignore[import-untyped]
from twilio.twiml.messaging_response import MessagingResponse  # type: ignore[import-untyped]

from pipeline.consumers import conversation
from pipeline.consumers.conversation import Heard, Inbound
from pipeline.consumers.inbound import SOURCE
from pipeline.consumers.writer import NotTaken
from pipeline.domain.replies import Control, PlainReader, Reader
from pipeline.store.conversations import note_callback
from pipeline.web.problems import Problem
from pipeline.web.services import Services

MAX_BODY = 64 << 10  # bytes
SIGNATURE = "x-twilio-signature"
READER: Reader = PlainReader()
_XML = "text/xml"
_MESSAGE_ID = re.compile(r"(?:SM|MM)[0-9a-fA-F]{32}", re.ASCII)
_NAME = re.compile(r"[A-Za-z0-9_\[\]-]{1,100}", re.ASCII)
_WORD = re.compile(r"[a-z_]{1,40}", re.ASCII)
_CODE = re.compile(r"[0-9]{1,10}", re.ASCII)
# The signature joins names and values without a mark between them; with all of these there nothing can be shifted.
_OF_A_TEXT = ("AccountSid", "Body", "From", "MessageSid", "To")
_OF_A_STATUS = ("AccountSid", "MessageSid", "MessageStatus")
_CONTROLS: Mapping[str, Control] = {"STOP": "stop", "START": "start", "HELP": "help"}
_Request = Request[Any, Any, Any]
_T = TypeVar("_T")


class StatusCallback(NamedTuple):
    """What the provider says of a message we sent. `token` is the one our own StatusCallback address carried."""

    message_id: str
    status: str
    token: str
    error_code: str | None


# Called in the transaction that notes the callback. False: no attempt of ours has that token.
OnStatus = Callable[[Connection, StatusCallback, datetime], bool]


class Provider(NamedTuple):
    """The account whose calls are believed. A second token is one that is being replaced."""

    account_sid: str
    auth_tokens: Sequence[str]
    status: OnStatus


class _Forged(Problem):
    """Said of whatever is not the provider's, without telling what gave it away."""

    def __init__(self) -> None:
        super().__init__(403, "not signed by the provider")


class _NotOurs(Exception):
    """A status of something we never sent."""


def routes(services: Services, provider: Provider, reader: Reader = READER) -> list[HTTPRouteHandler]:
    """The handlers of `/twilio/sms` and `/twilio/status`."""

    @post("/twilio/sms", status_code=200, request_max_body_size=MAX_BODY, include_in_schema=False)
    async def text(request: _Request) -> Response[str]:
        """A customer's text. Kept and understood before it is acknowledged; the answer is what we say next."""
        told = await _signed(request, services, provider, _OF_A_TEXT)
        control = _CONTROLS.get(told.get("OptOutType", "").upper())
        inbound = Inbound(
            SOURCE,
            told["MessageSid"],
            services.vault.phone_digest(told["From"]),
            told["Body"],
            services.now(),
            control,
        )
        heard = await converse(services, inbound, reader)
        return Response(_twiml(heard.reply), media_type=_XML)

    @post("/twilio/status", status_code=204, request_max_body_size=MAX_BODY, include_in_schema=False)
    async def status(request: _Request) -> None:
        """What became of a message of ours. Each word counts once, in whatever order they come."""
        told = await _signed(request, services, provider, _OF_A_STATUS)
        if not _WORD.fullmatch(told["MessageStatus"]):
            raise Problem(400, "not a status", "MessageStatus")
        code = told.get("ErrorCode", "")
        token = request.query_params.get("token", "")
        callback = StatusCallback(
            told["MessageSid"], told["MessageStatus"], token, code if _CODE.fullmatch(code) else None
        )
        try:
            await written(services, partial(_note, callback, provider.status, services.now()))
        except _NotOurs:
            raise Problem(404, "no message of ours") from None

    return [text, status]


async def converse(services: Services, inbound: Inbound, reader: Reader = READER) -> Heard:
    """Take in a text: durable with all that follows from it, and its answer processed, when this returns."""
    heard = await written(
        services,
        lambda connection: conversation.hear(connection, services.vault, inbound, reader, services.now()),
    )
    if heard.events:  # in the journal already, so they count once; handing them in has them processed now
        with suppress(NotTaken):  # or with the next event: nothing is lost, and the customer is answered
            await services.submit(heard.events)
    return heard


async def written(services: Services, do: Callable[[Connection], _T]) -> _T:
    """Do something in one transaction, off the event loop; it is on disk when this returns."""

    def _transaction() -> _T:
        with services.engine.begin() as connection:
            return do(connection)

    return await to_thread.run_sync(_transaction)


def _note(callback: StatusCallback, tell: OnStatus, now: datetime, connection: Connection) -> None:
    row = {
        "message_id": callback.message_id,
        "status": callback.status,
        "received_at": now,
        "error_code": callback.error_code,
    }
    if note_callback(connection, row) and not tell(connection, callback, now):
        raise _NotOurs  # and nothing is kept: the transaction ends with it


async def _signed(request: _Request, services: Services, provider: Provider, needed: Sequence[str]) -> dict[str, str]:
    """The parameters of a call that the provider signed, each named once. Raises _Forged."""
    told = _parameters(await request.body())
    query = request.scope["query_string"].decode("latin-1")
    address = services.settings.public_url + request.scope["path"] + (f"?{query}" if query else "")
    given = request.headers.get(SIGNATURE, "")
    # Every token is tried, and each comparison takes as long as any other.
    genuine = [_genuine(token, address, told, given) for token in provider.auth_tokens]
    if not any(genuine) or any(name not in told for name in needed):
        raise _Forged
    if not hmac.compare_digest(told["AccountSid"].encode(), provider.account_sid.encode()):
        raise _Forged
    if not _MESSAGE_ID.fullmatch(told["MessageSid"]):
        raise _Forged
    return told


def _genuine(token: str, address: str, told: Mapping[str, str], given: str) -> bool:
    wanted = RequestValidator(token).compute_signature(address, told)
    return hmac.compare_digest(wanted.encode(), given.encode("utf-8", "replace"))


def _parameters(body: bytes) -> dict[str, str]:
    try:
        pairs = parse_qsl(body.decode("ascii"), keep_blank_values=True, errors="strict", max_num_fields=200)
    except ValueError:
        raise _Forged from None
    told = dict(pairs)
    if len(told) != len(pairs) or not all(_NAME.fullmatch(name) for name in told):
        raise _Forged  # a name that stands twice would be signed as one thing and read as another
    return told


def _twiml(reply: str | None) -> str:
    response = MessagingResponse()
    if reply is not None:
        response.message(reply)
    return str(response)
