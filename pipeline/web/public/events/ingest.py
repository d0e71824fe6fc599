"""`POST /v1/events`: events from other systems. 202 means durable; refused events are listed with a reason."""

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
from pipeline.consumers.runtime.write_queue import NotStored
from pipeline.domain.events.cloudevents import BATCH, JSON, STRUCTURED, structured
from pipeline.domain.events.contract import OWN_SOURCE, BadEvent, Event
from pipeline.domain.events.decoding import decode
from pipeline.store.people.api_keys import ApiKey
from pipeline.web.http.problems import Problem
from pipeline.web.http.services import Services
from pipeline.web.public.events.keys import Keys

ALLOWED = ("order.completed", "order.repromised", "delivery.updated")  # the other types are our own
_BINARY = "binary"
_LARGE = 64 << 10  # bytes: larger bodies are checked in a thread, so that other requests need not wait
_split = msgspec.json.Decoder(list[msgspec.Raw]).decode


class Refused(Struct, frozen=True):
    """An event that was not accepted: its index in the batch, the invalid field and the reason."""

    index: int
    field: str
    reason: str


class IngestResponse(Struct, frozen=True, omit_defaults=True):
    """The result of a request. The counted events are durable; `duplicates` were stored before."""

    new: int
    duplicates: int
    refused: list[Refused] = []


class _Checked(NamedTuple):
    incoming: list[Incoming]
    refused: list[Refused]


@dataclass
class _IngestOperation(Operation):
    """Describes the body for OpenAPI, because the handler parses it itself."""

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
    """`POST /v1/events`."""
    keys, limits = Keys(services), services.settings

    @post(
        "/v1/events",
        status_code=202,
        operation_class=_IngestOperation,
        operation_id="takeEvents",
        summary="Send events",
        description=(
            "The response is sent when the events are durable. Each event is checked separately: 202 if all were "
            "accepted, 207 if some were refused, 422 if all were refused. An event sent again with the same `source` "
            "and `id` is a duplicate and changes nothing."
        ),
        responses={
            207: ResponseSpec(IngestResponse, description="Some events were accepted; those in `refused` were not"),
            422: ResponseSpec(
                dict[str, Any], description="No event was accepted", media_type="application/problem+json"
            ),
            503: ResponseSpec(
                dict[str, Any],
                description="The events may not be durable: send them again after `Retry-After`",
                media_type="application/problem+json",
            ),
        },
        request_max_body_size=limits.max_events_body_bytes,
    )
    async def ingest_events(request: Request[Any, Any, Any]) -> Response[IngestResponse]:
        key = await keys.check(request)
        mode = _content_mode(request.headers)
        body = await request.body()
        raws, many = _split_body(body, mode, request.headers, limits.max_events_per_request)
        if not many and len(body) > limits.max_event_bytes:
            raise Problem(413, f"the event has {len(body)} bytes, more than {limits.max_event_bytes}")
        checker = _EventChecker(key, limits.max_event_bytes, services)
        checked = await asyncio.to_thread(checker.check, raws) if len(body) > _LARGE else checker.check(raws)
        if checked.refused and not checked.incoming:
            raise _all_refused(checked.refused, many)
        try:
            async with asyncio.timeout(limits.response_timeout_seconds):
                result = await services.submit(checked.incoming)
        except TimeoutError:
            raise NotStored("the events are not durable yet") from None
        return Response(
            IngestResponse(result.new, result.duplicates, checked.refused), status_code=207 if checked.refused else 202
        )

    return [ingest_events]


class _EventChecker:
    """Checks each event of a request against what its API key may send."""

    def __init__(self, key: ApiKey, event_bytes: int, services: Services) -> None:
        self._key = key
        self._event_bytes = event_bytes
        self._position = f"http:{key.name}"
        self._now = services.now()

    def check(self, raws: Sequence[bytes]) -> _Checked:
        """The accepted events, received now, and the refused ones."""
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
        # Received now, history included: senders must not move the installation's clock.
        event = decode(raw, None, self._now)
        if event.type not in ALLOWED:
            raise BadEvent(f"{event.type!r} cannot be sent from outside; {', '.join(ALLOWED)} can", "type")
        if event.source.split("/")[0] == OWN_SOURCE:
            raise BadEvent(f"{OWN_SOURCE!r} is reserved; name the system that sends the event", "source")
        if event.historic and not self._key.history:
            # Otherwise marking an order as historic would keep its customer from being asked.
            raise BadEvent(
                "this key may not send history (create one with: unvarnished keys create NAME --history)", "historic"
            )
        return event


def _all_refused(refused: Sequence[Refused], many: bool) -> Problem:
    first = refused[0]
    if not many:
        return Problem(422, first.reason, first.field)
    detail = f"none of {len(refused)} events was accepted; the first: {first.reason}"
    return Problem(422, detail, more={"refused": msgspec.to_builtins(refused)})


def _content_mode(headers: Headers) -> str:
    """The CloudEvents content mode of the body. Raises Problem 415."""
    media = headers.get("content-type", "").partition(";")[0].strip().lower()
    if media == JSON and "ce-specversion" in headers:
        return _BINARY
    if media not in (STRUCTURED, BATCH, JSON):
        raise Problem(415, f"content type {media!r} is not supported; send {STRUCTURED}, {BATCH} or {JSON}")
    return media


def _split_body(body: bytes, mode: str, headers: Headers, most: int) -> tuple[Sequence[bytes], bool]:
    """The JSON of each event, and whether the body is a batch. Raises Problem 422, or 413 for too many events."""
    if mode == _BINARY:
        return [_structured(body, headers)], False
    if mode == STRUCTURED or (mode == JSON and not body.lstrip(b" \t\r\n").startswith(b"[")):
        return [body], False
    try:
        raws = [bytes(raw) for raw in _split(body)]
    except (msgspec.DecodeError, RecursionError, UnicodeDecodeError) as error:
        raise Problem(422, f"not a JSON array of events: {error}") from None
    if len(raws) > most:
        raise Problem(413, f"{len(raws)} events in one request, more than {most}")
    if not raws:
        raise Problem(422, "the batch is empty")
    return raws, True


def _structured(body: bytes, headers: Headers) -> bytes:
    """A binary-mode event as structured JSON: its attributes are the `ce-*` headers, percent-encoded."""
    named = {name.removeprefix("ce-"): unquote(value) for name, value in headers.items() if name.startswith("ce-")}
    try:
        return structured(named, body)
    except BadEvent as bad:
        raise Problem(422, bad.reason, bad.field) from None
