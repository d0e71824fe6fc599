"""`POST /v1/events`: events from other systems. 2xx means durable; refused events are listed with a reason."""

import asyncio
from collections.abc import Sequence
from dataclasses import dataclass
from operator import attrgetter
from typing import Any, NamedTuple

import msgspec
from litestar import HttpMethod, MediaType, Request, Response, post, route
from litestar.datastructures import Headers
from litestar.openapi.datastructures import ResponseSpec
from litestar.openapi.spec import OpenAPIMediaType, OpenAPIType, Operation, Reference, RequestBody, Schema
from litestar.types import ControllerRouterHandler
from msgspec import Struct

from pipeline.consumers.intake import CONFLICT, Incoming, IngestResult
from pipeline.consumers.runtime.write_queue import NotStored
from pipeline.domain.events.cloudevents import BATCH, JSON, STRUCTURED
from pipeline.domain.events.contract import OWN_SOURCE, BadEvent
from pipeline.domain.events.received import Received, read
from pipeline.store.people.api_keys import ApiKey
from pipeline.web.auth.access import Protection, protected_by
from pipeline.web.http.byte_budget import ByteBudget
from pipeline.web.http.openapi import problems
from pipeline.web.http.problems import Problem
from pipeline.web.http.services import Services
from pipeline.web.public.events.body import BodyLimits, is_compressed, read_body
from pipeline.web.public.events.keys import Keys
from pipeline.web.public.events.warnings import warnings_of

ALLOWED = (
    "order.completed",
    "order.repromised",
    "order.cancelled",
    "delivery.updated",
    "delivery.retracted",
)  # the other types are our own
_WAIT_SECONDS = 15.0  # for other requests to be stored; a sender waits for half a minute at least
_LARGE = 64 << 10  # bytes: larger bodies are checked in a thread, so that other requests need not wait
_MINIMAL, _LENIENT = "return=minimal", "handling=lenient"  # preferences of a sender (RFC 7240)


class Refused(Struct, frozen=True):
    """An event that was not accepted: its index in the batch, the invalid field and the reason."""

    index: int
    field: str
    reason: str


class EventWarning(Struct, frozen=True):
    """A field of an accepted event that will not have the effect its sender expects, and why."""

    index: int
    field: str
    reason: str


class IngestResponse(Struct, frozen=True, omit_defaults=True):
    """The result of a request. The counted events are durable; `duplicates` were stored before."""

    new: int
    duplicates: int
    refused: list[Refused] = []
    warnings: list[EventWarning] = []


class _Checked(NamedTuple):
    """The events of a request: those to be stored, with their indexes in the request, and the refused ones."""

    incoming: list[Incoming]
    indexes: list[int]
    refused: list[Refused]
    warnings: list[EventWarning]
    many: bool


@dataclass
class _IngestOperation(Operation):
    """Describes the body for OpenAPI, because the handler parses it itself."""

    def __post_init__(self) -> None:
        required: dict[str, Reference | Schema] = {
            "specversion": Schema(type=OpenAPIType.STRING, enum=["1.0"]),
            "id": Schema(type=OpenAPIType.STRING, min_length=1, description="names the event, together with `source`"),
            "source": Schema(type=OpenAPIType.STRING, min_length=1),
            "type": Schema(type=OpenAPIType.STRING, min_length=1),
        }
        data = "an object, or JSON text of one; by type in the AsyncAPI document (docs/asyncapi.json)"
        optional: dict[str, Reference | Schema] = {
            "time": Schema(
                type=[OpenAPIType.STRING, OpenAPIType.NULL], description="when it happened; without it, its receipt"
            ),
            "data": Schema(type=[OpenAPIType.OBJECT, OpenAPIType.STRING, OpenAPIType.NULL], description=data),
            "data_base64": Schema(type=[OpenAPIType.STRING, OpenAPIType.NULL], description="instead of `data`"),
        }
        event = Schema(
            type=OpenAPIType.OBJECT,
            description=f"A CloudEvent 1.0 in structured mode. `type` is one of {', '.join(ALLOWED)}.",
            properties=required | optional,
            required=[*required],
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
    """`POST` and `OPTIONS /v1/events`."""
    keys, limits = Keys(services), services.settings
    budget = ByteBudget(limits.max_concurrent_body_bytes)

    @post(
        "/v1/events",
        opt=protected_by(Protection.API_KEY),
        status_code=202,
        operation_class=_IngestOperation,
        summary="Send events",
        description=(
            "The response is sent when the events are durable. Each event is checked separately: 202 if all were "
            "accepted, 422 if one was refused; the others are stored all the same. With `Prefer: handling=lenient` the "
            "response is 207 if some were stored. An event sent again with the same `source` and `id` is a duplicate "
            "and changes nothing; with other content it is refused. With `Prefer: return=minimal` a 202 has no body."
        ),
        responses=problems(401, 413, 415, 422, 429, 503)
        | {207: ResponseSpec(IngestResponse, False, "Some events were stored; those in `refused` were not")},
        request_max_body_size=limits.max_events_body_bytes,
    )
    async def take_events(request: Request[Any, Any, Any]) -> Response[IngestResponse]:
        key = await keys.check(request)
        try:
            async with budget.use(_size(request, limits.max_events_body_bytes), _WAIT_SECONDS):
                return await _ingest(request, key)
        except TimeoutError:
            raise NotStored("too many events arrive at once") from None

    async def _ingest(request: Request[Any, Any, Any], key: ApiKey) -> Response[IngestResponse]:
        body = await request.body()
        checker = _EventChecker(key, services)
        large = len(body) > _LARGE or is_compressed(request.headers)
        checked = (
            await asyncio.to_thread(checker.check, request.headers, body)
            if large
            else checker.check(request.headers, body)
        )
        try:
            async with asyncio.timeout(limits.response_timeout_seconds):
                result = await services.submit(checked.incoming) if checked.incoming else IngestResult(0, 0, 0)
        except TimeoutError:
            raise NotStored("the events are not durable yet") from None
        return _response(request.headers, checked, result, limits.empty_event_responses)

    @route(
        "/v1/events",
        opt=protected_by(Protection.OPEN),
        http_method=[HttpMethod.OPTIONS],
        status_code=200,
        media_type=MediaType.TEXT,
        summary="Ask for permission to deliver events",
        description=(
            "The validation of CloudEvents webhooks, as Azure Event Grid does it: `WebHook-Request-Origin` is answered "
            "by `WebHook-Allowed-Origin`. Every delivery needs an API key all the same."
        ),
        responses=problems(403),
    )
    async def allow_events(request: Request[Any, Any, Any]) -> Response[str]:
        headers = {"Allow": "OPTIONS, POST"}
        origin = request.headers.get("webhook-request-origin")
        if origin is not None:
            if not {"*", origin} & limits.webhook_origins:
                raise Problem(403, "this origin may not deliver events here (UNVARNISHED_WEBHOOK_ORIGINS)")
            headers |= {"WebHook-Allowed-Origin": origin, "WebHook-Allowed-Rate": "*"}
        return Response("", media_type=MediaType.TEXT, headers=headers)

    return [allow_events, take_events]  # in this order: otherwise the framework adds an OPTIONS of its own


def _size(request: Request[Any, Any, Any], largest: int) -> int:
    """How large the body may be when it is read and decompressed."""
    announced = request.headers.get("content-length", "")
    known = announced.isdecimal() and not is_compressed(request.headers)
    return min(int(announced), largest) if known else largest


class _EventChecker:
    """Checks each event of a request against what its API key may send."""

    def __init__(self, key: ApiKey, services: Services) -> None:
        self._key = key
        self._limits = services.settings
        self._store = services.store
        self._position = f"http:{key.name}"
        self._now = services.now()

    def check(self, headers: Headers, body: bytes) -> _Checked:
        """The accepted events, received now, and the refused ones. Raises Problem for the request as a whole."""
        limits = self._limits
        raws, many = read_body(body, headers, BodyLimits(limits.max_events_body_bytes, limits.max_events_per_request))
        if not many and len(raws[0]) > limits.max_event_bytes:
            raise Problem(413, f"the event has {len(raws[0])} bytes, more than {limits.max_event_bytes}")
        checked = _Checked([], [], [], [], many)
        for index, raw in enumerate(raws):
            try:
                received = self._check(raw)
            except BadEvent as bad:
                checked.refused.append(Refused(index, bad.field, bad.explanation))
            else:
                checked.incoming.append(Incoming(received.raw, None, self._position, None, self._now, received, True))
                checked.indexes.append(index)
                warned = warnings_of(received.event, self._store.vault)
                checked.warnings.extend(EventWarning(index, field, reason) for field, reason in warned)
        return checked

    def _check(self, raw: bytes) -> Received:
        if len(raw) > self._limits.max_event_bytes:
            raise BadEvent(f"the event has {len(raw)} bytes, more than {self._limits.max_event_bytes}")
        # Received now, history included: senders must not move the installation's clock.
        received = read(raw, None, self._now, self._store.event_types)
        event = received.event
        self._store.check_not_ahead(event)
        if event.type not in ALLOWED:
            raise BadEvent(f"cannot be sent from outside; {', '.join(ALLOWED)} can", "type", event.type)
        if event.source.split("/")[0] == OWN_SOURCE:
            raise BadEvent(f"{OWN_SOURCE!r} is reserved; name the system that sends the event", "source")
        if event.historic and not self._key.history:
            # Otherwise marking an order as historic would keep its customer from being asked.
            raise BadEvent(
                "this key may not send history (create one with: unvarnished keys create NAME --history)", "historic"
            )
        return received


def _response(headers: Headers, checked: _Checked, result: IngestResult, empty: bool) -> Response[Any]:
    """202, or 207 for a sender that asked for it. Raises Problem 422 if an event was refused."""
    conflicts = [Refused(checked.indexes[n], CONFLICT.field, CONFLICT.reason) for n in result.conflicts]
    refused = sorted([*checked.refused, *conflicts], key=attrgetter("index"))
    stored = result.new + result.duplicates
    preferred = _preferences(headers)
    if not refused:
        if empty or _MINIMAL in preferred:
            return Response("", status_code=202, media_type=MediaType.TEXT, headers=_applied(_MINIMAL, preferred))
        return Response(IngestResponse(result.new, result.duplicates, [], checked.warnings), status_code=202)
    if not stored or _LENIENT not in preferred:
        raise _refusal(refused, result, checked)
    body = IngestResponse(result.new, result.duplicates, refused, checked.warnings)
    return Response(body, status_code=207, headers=_applied(_LENIENT, preferred))


def _preferences(headers: Headers) -> frozenset[str]:
    """What the sender prefers (RFC 7240), as in `handling=lenient`."""
    listed = ",".join(headers.getall("prefer", [])).lower().split(",")
    return frozenset("".join(one.partition(";")[0].replace('"', "").split()) for one in listed)


def _applied(preference: str, preferred: frozenset[str]) -> dict[str, str]:
    return {"Preference-Applied": preference} if preference in preferred else {}


def _refusal(refused: Sequence[Refused], result: IngestResult, checked: _Checked) -> Problem:
    first = refused[0]
    if not checked.many:
        return Problem(422, first.reason, first.field)
    more: dict[str, object] = {"refused": msgspec.to_builtins(refused)}
    if checked.warnings:
        more["warnings"] = msgspec.to_builtins(checked.warnings)
    stored = result.new + result.duplicates
    if not stored:
        return Problem(422, f"none of {len(refused)} events was accepted; the first: {first.reason}", more=more)
    detail = (
        f"{len(refused)} of {len(refused) + stored} events were refused, the first: {first.reason}. The others are "
        "stored; sending all of them again does no harm"
    )
    return Problem(422, detail, more={"new": result.new, "duplicates": result.duplicates} | more)
