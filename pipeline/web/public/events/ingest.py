"""`POST /v1/events`: the way in for everybody's own systems. 202 means durable; what is refused is named."""

import asyncio
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any, NamedTuple
from urllib.parse import unquote

import msgspec
from litestar import Request, Response, post
from litestar.datastructures import Headers
from litestar.openapi.datastructures import ResponseSpec
from litestar.openapi.spec import OpenAPIMediaType, OpenAPIType, Operation, Reference, RequestBody, Schema
from litestar.types import ControllerRouterHandler
from msgspec import Struct

from pipeline.consumers.intake import Incoming
from pipeline.consumers.runtime.write_queue import NotTaken
from pipeline.domain.events.cloudevents import BATCH, JSON, STRUCTURED, structured
from pipeline.domain.events.contract import OWN_SOURCE, BadEvent, Event
from pipeline.domain.events.decoding import decode
from pipeline.store.people.api_keys import ApiKey
from pipeline.web.http.problems import Problem
from pipeline.web.http.services import Services
from pipeline.web.public.events.keys import Keys

ALLOWED = ("order.completed", "order.repromised", "delivery.updated")  # what we ask and hear is for us to say
_BINARY = "binary"
_LARGE = 64 << 10  # bytes of a body that is checked beside the event loop, so that others need not wait for it
_split = msgspec.json.Decoder(list[msgspec.Raw]).decode


class Refused(Struct, frozen=True):
    """An event that was not taken: its place in the batch, the field to mend and what is wrong with it."""

    index: int
    field: str
    reason: str


class TakenAnswer(Struct, frozen=True, omit_defaults=True):
    """What became of a request's events. Those counted are durable; a duplicate was so before."""

    new: int
    duplicates: int
    refused: list[Refused] = []


class _Checked(NamedTuple):
    incoming: list[Incoming]
    refused: list[Refused]


@dataclass
class _IngestOperation(Operation):
    """The body, which the handler reads itself, for OpenAPI."""

    def __post_init__(self) -> None:
        named: dict[str, Reference | Schema] = {
            name: Schema(type=OpenAPIType.STRING) for name in ("specversion", "id", "source", "type", "time")
        }
        event = Schema(
            type=OpenAPIType.OBJECT,
            description=f"A CloudEvent 1.0 in structured mode. `type` is one of {', '.join(ALLOWED)}.",
            properties=named | {"data": Schema(type=OpenAPIType.OBJECT)},
            required=[*named, "data"],
        )
        batch = Schema(type=OpenAPIType.ARRAY, items=event)
        self.security = [{"key": []}]
        self.request_body = RequestBody(
            description="One event, or several. In binary mode (`ce-*` headers) the body is the event's `data`.",
            required=True,
            content={
                STRUCTURED: OpenAPIMediaType(schema=event),
                BATCH: OpenAPIMediaType(schema=batch),
                JSON: OpenAPIMediaType(schema=Schema(one_of=[event, batch])),
            },
        )


def routes(services: Services) -> list[ControllerRouterHandler]:
    """The route, on the public listener."""
    keys, limits = Keys(services), services.settings

    @post(
        "/v1/events",
        status_code=202,
        operation_class=_IngestOperation,
        operation_id="takeEvents",
        summary="Send events",
        description=(
            "Answered when the events are durable. Each is checked by itself: 202 if all were taken, 207 if some were "
            "refused, 422 if all were. Sending an event again, same `source` and `id`, changes nothing."
        ),
        responses={
            207: ResponseSpec(TakenAnswer, description="Some were taken, those in `refused` were not"),
            422: ResponseSpec(dict[str, Any], description="None was taken", media_type="application/problem+json"),
            503: ResponseSpec(
                dict[str, Any],
                description="Nothing is promised: send them again after `Retry-After`",
                media_type="application/problem+json",
            ),
        },
        request_max_body_size=limits.events_body_bytes,
    )
    async def take_events(request: Request[Any, Any, Any]) -> Response[TakenAnswer]:
        key = await keys.check(request)
        form = _form(request.headers)
        body = await request.body()
        raws, many = _events_in(body, form, request.headers, limits.events_a_request)
        if not many and len(body) > limits.event_bytes:
            raise Problem(413, f"the event has {len(body)} bytes, more than {limits.event_bytes}")
        door = _Door(key, limits.event_bytes, services)
        checked = await asyncio.to_thread(door.check, raws) if len(body) > _LARGE else door.check(raws)
        if checked.refused and not checked.incoming:
            raise _none_taken(checked.refused, many)
        try:
            async with asyncio.timeout(limits.answer_seconds):
                taken = await services.submit(checked.incoming)
        except TimeoutError:
            raise NotTaken("the events are not durable yet") from None
        return Response(
            TakenAnswer(taken.new, taken.duplicates, checked.refused), status_code=207 if checked.refused else 202
        )

    return [take_events]


class _Door:
    """What one key may bring in."""

    def __init__(self, key: ApiKey, event_bytes: int, services: Services) -> None:
        self._key = key
        self._event_bytes = event_bytes
        self._position = f"http:{key.name}"
        self._now = services.now()

    def check(self, raws: Sequence[bytes]) -> _Checked:
        """Each event by itself: received now, or refused."""
        checked = _Checked([], [])
        for index, raw in enumerate(raws):
            try:
                event = self._check(raw)
            except BadEvent as bad:
                checked.refused.append(Refused(index, bad.field, bad.reason))
            else:
                checked.incoming.append(Incoming(raw, None, self._position, None, self._now, event))
        return checked

    def _check(self, raw: bytes) -> Event:
        if len(raw) > self._event_bytes:
            raise BadEvent(f"the event has {len(raw)} bytes, more than {self._event_bytes}")
        # Received now, history too: the clock of the installation follows no sender.
        event = decode(raw, None, self._now)
        if event.type not in ALLOWED:
            raise BadEvent(f"{event.type!r} cannot be sent from outside; {', '.join(ALLOWED)} can", "type")
        if event.source.split("/")[0] == OWN_SOURCE:
            raise BadEvent(f"{OWN_SOURCE!r} is our own name: say which of your systems this is", "source")
        if event.historic and not self._key.history:
            # Otherwise calling an order history would be a way to keep its customer from being asked.
            raise BadEvent("this key may not send history (unvarnished keys create NAME --history)", "historic")
        return event


def _none_taken(refused: Sequence[Refused], many: bool) -> Problem:
    first = refused[0]
    if not many:
        return Problem(422, first.reason, first.field)
    detail = f"none of {len(refused)} events can be taken; the first: {first.reason}"
    return Problem(422, detail, more={"refused": msgspec.to_builtins(refused)})


def _form(headers: Headers) -> str:
    """How the body is to be read. Raises Problem 415."""
    media = headers.get("content-type", "").partition(";")[0].strip().lower()
    if media == JSON and "ce-specversion" in headers:
        return _BINARY
    if media not in (STRUCTURED, BATCH, JSON):
        raise Problem(415, f"{media or 'no content type'!r} is none of {STRUCTURED}, {BATCH}, {JSON}")
    return media


def _events_in(body: bytes, form: str, headers: Headers, most: int) -> tuple[Sequence[bytes], bool]:
    """The text of each event, and whether there may be several. Raises Problem 422, or 413 if they are too many."""
    if form == _BINARY:
        return [_structured(body, headers)], False
    if form == STRUCTURED or (form == JSON and not body.lstrip(b" \t\r\n").startswith(b"[")):
        return [body], False
    try:
        raws = [bytes(raw) for raw in _split(body)]
    except (msgspec.DecodeError, RecursionError, UnicodeDecodeError) as error:
        raise Problem(422, f"not a JSON array of events: {error}") from None
    if len(raws) > most:
        raise Problem(413, f"{len(raws)} events in one request, more than {most}")
    if not raws:
        raise Problem(422, "there is no event in it")
    return raws, True


def _structured(body: bytes, headers: Headers) -> bytes:
    """A binary-mode event as structured JSON: its attributes are the `ce-*` headers, percent-encoded."""
    named = {name.removeprefix("ce-"): unquote(value) for name, value in headers.items() if name.startswith("ce-")}
    try:
        return structured(named, body)
    except BadEvent as bad:
        raise Problem(422, bad.reason, bad.field) from None
