"""The provider's calls: texts from customers, and what became of ours. Nobody is believed without the signature.

The signature covers the address that was configured, not the one the request claims to have come to: proxies change
that one, and whoever forges a call can choose it. Everything is on disk before it is acknowledged: in the database,
or in the spool while that is away, because a text that is refused does not come again.
"""

import hmac
import logging
import re
from collections.abc import Callable, Mapping, Sequence
from contextlib import suppress
from datetime import datetime
from functools import partial
from typing import Any, Literal, NamedTuple, TypeVar
from urllib.parse import parse_qsl

import msgspec
from anyio import CapacityLimiter, fail_after, move_on_after, to_thread
from litestar import Request, Response, post
from litestar.handlers import HTTPRouteHandler
from sqlalchemy import Connection
from twilio.request_validator import RequestValidator  # type: ignore[import-untyped]
from twilio.twiml.messaging_response import MessagingResponse  # type: ignore[import-untyped]

from pipeline.consumers import conversation
from pipeline.consumers.conversation import Heard, Inbound
from pipeline.consumers.runtime.embedded import passes
from pipeline.consumers.runtime.write_queue import NotTaken
from pipeline.consumers.sending.inbox_poll import SOURCE
from pipeline.domain.answers.replies import Control, PlainReader, Reader
from pipeline.store.asks.conversations import note_callback
from pipeline.store.journal.spool import Full, Spool
from pipeline.web.http.problems import Problem
from pipeline.web.http.services import Services

MAX_BODY = 64 << 10  # bytes
SIGNATURE = "x-twilio-signature"
READER: Reader = PlainReader()
# Seconds for the transaction, and again for what follows from it: the provider waits for fifteen in all.
_PATIENCE_SECONDS = 5.0
_XML = "text/xml"
_MESSAGE_ID = re.compile(r"(?:SM|MM)[0-9a-fA-F]{32}", re.ASCII)
_NAME = re.compile(r"[A-Za-z0-9_\[\]-]{1,100}", re.ASCII)
_WORD = re.compile(r"[a-z_]{1,40}", re.ASCII)
_CODE = re.compile(r"[0-9]{1,10}", re.ASCII)
# The signature joins names and values without a mark between them; with all of these there nothing can be shifted.
_OF_A_TEXT = ("AccountSid", "Body", "From", "MessageSid", "To")
_OF_A_STATUS = ("AccountSid", "MessageSid", "MessageStatus")
_CONTROLS: Mapping[str, Control] = {"STOP": "stop", "START": "start", "HELP": "help"}
_log = logging.getLogger(__name__)
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


class Call(msgspec.Struct, frozen=True):
    """A call whose signature was checked, as it is kept until it is taken in. `token`: a status callback's."""

    kind: Literal["text", "status"]
    received_at: datetime
    told: dict[str, str]
    token: str = ""

    @property
    def key(self) -> str:
        """What makes it the same call when it comes again."""
        named = (self.told["MessageSid"], self.told.get("MessageStatus", "") if self.kind == "status" else "")
        return "-".join(filter(None, named))


_call = msgspec.json.Decoder(Call)


class _Forged(Problem):
    """Said of whatever is not the provider's, without telling what gave it away."""

    def __init__(self) -> None:
        super().__init__(403, "not signed by the provider")


class _NotOurs(Exception):
    """A status of something we never sent."""


def routes(services: Services, provider: Provider, spool: Spool, reader: Reader = READER) -> list[HTTPRouteHandler]:
    """The handlers of `/twilio/sms` and `/twilio/status`."""
    one_at_a_time = CapacityLimiter(1)  # for the spool, whose threads must not be those that wait for the database

    @post("/twilio/sms", status_code=200, request_max_body_size=MAX_BODY, include_in_schema=False)
    async def text(request: _Request) -> Response[str]:
        """A customer's text. Kept and understood before it is acknowledged; the answer is what we say next."""
        told = await _signed(request, services, provider, _OF_A_TEXT)
        heard = await _take(Call("text", services.now(), told))
        if heard is None:
            return Response(_twiml(None), media_type=_XML)
        await _process(services, heard)
        return Response(_twiml(heard.reply), media_type=_XML)

    @post("/twilio/status", status_code=204, request_max_body_size=MAX_BODY, include_in_schema=False)
    async def status(request: _Request) -> None:
        """What became of a message of ours. Each word counts once, in whatever order they come."""
        told = await _signed(request, services, provider, _OF_A_STATUS)
        if not _WORD.fullmatch(told["MessageStatus"]):
            raise Problem(400, "not a status", "MessageStatus")
        try:
            await _take(Call("status", services.now(), told, request.query_params.get("token", "")))
        except _NotOurs:
            raise Problem(404, "no message of ours") from None

    async def _take(call: Call) -> Heard | None:
        """What became of a text; None: it waits in the spool, or is no text. What comes later stays behind it."""
        if spool.empty:
            try:
                with fail_after(_PATIENCE_SECONDS):
                    return await written(services, partial(_carry_out, call, services, provider, reader))
            except Exception as error:  # it may be committed all the same: then it is heard once
                if not passes(error) and not isinstance(error, TimeoutError):
                    raise
        try:
            keep = partial(spool.put, call.key, call.received_at, msgspec.json.encode(call))
            await to_thread.run_sync(keep, limiter=one_at_a_time)
        except (OSError, Full) as error:
            _log.error("a call of the provider could not be kept (%s)", type(error).__name__)
            raise Problem(503, "it cannot be kept now: try again later", headers={"Retry-After": "5"}) from None
        return None

    return [text, status]


def out_of_the_spool(
    services: Services, provider: Provider, reader: Reader = READER
) -> Callable[[Connection, bytes], None]:
    """What takes in the calls that waited, like the routes and in the caller's transaction; for a Drain."""

    def _take(connection: Connection, raw: bytes) -> None:
        with suppress(_NotOurs), connection.begin_nested():
            _carry_out(_call.decode(raw), services, provider, reader, connection, answerable=False)

    return _take


def _carry_out(
    call: Call,
    services: Services,
    provider: Provider,
    reader: Reader,
    connection: Connection,
    answerable: bool = True,
) -> Heard | None:
    """Do what a call is for. Returns what became of a text. Raises _NotOurs: the status of no message of ours."""
    told, now = call.told, services.now()
    if call.kind == "status":
        code = told.get("ErrorCode", "")
        known = code if _CODE.fullmatch(code) else None
        callback = StatusCallback(told["MessageSid"], told["MessageStatus"], call.token, known)
        _note(callback, provider.status, now, connection)
        return None
    control = _CONTROLS.get(told.get("OptOutType", "").upper())
    sender = services.vault.phone_digest(told["From"])
    inbound = Inbound(SOURCE, told["MessageSid"], sender, told["Body"], call.received_at, control, answerable)
    return conversation.hear(connection, services.vault, inbound, reader, now)


async def converse(services: Services, inbound: Inbound, reader: Reader = READER) -> Heard:
    """Take in a text: durable with all that follows from it, and its answer processed, when this returns."""
    heard = await written(
        services,
        lambda connection: conversation.hear(connection, services.vault, inbound, reader, services.now()),
    )
    await _process(services, heard)
    return heard


async def _process(services: Services, heard: Heard) -> None:
    """Have what follows from a text processed now. It is in the journal already, so it counts once, and if this fails
    or takes long it happens with the next event: nothing is lost, and the customer is answered."""
    if heard.events:
        with suppress(NotTaken), move_on_after(_PATIENCE_SECONDS):
            await services.submit(heard.events)


async def written(services: Services, do: Callable[[Connection], _T]) -> _T:
    """Do something in one transaction, off the event loop; it is on disk when this returns. Whoever stops waiting for
    it does not know whether it will be."""

    def _transaction() -> _T:
        with services.engine.begin() as connection:
            return do(connection)

    return await to_thread.run_sync(_transaction, abandon_on_cancel=True)


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
