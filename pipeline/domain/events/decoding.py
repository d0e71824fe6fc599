"""Decoding: from CloudEvents 1.0 JSON to checked events, or one sentence that names the invalid field."""

import json
import re
from collections.abc import Mapping
from datetime import datetime
from typing import Any

import msgspec
from msgspec import Struct

from pipeline.domain.events.contract import (
    KINDS,
    MAX_EVENT_BYTES,
    MAX_TRACKING_NUMBER,
    BadEvent,
    DeliveryRetracted,
    DeliveryUpdated,
    Envelope,
    Event,
    FeedbackCorrected,
    FeedbackReceived,
    OrderCompleted,
    OrderRepromised,
    Score,
    WrittenQuantity,
)
from pipeline.domain.events.depth import check_depth
from pipeline.domain.events.times import check_zone, deadline, utc
from pipeline.domain.events.tracking import normal_number
from pipeline.domain.events.words import check_lengths


class _Line(Struct):
    ordered: WrittenQuantity | None = None
    delivered: WrittenQuantity | None = None
    cancelled: WrittenQuantity | None = None


class _Lines(Struct):
    lines: list[_Line] | None = None


_envelope = msgspec.json.Decoder(Envelope)
_quantities = msgspec.json.Decoder(_Lines)
_data = {kind.data: msgspec.json.Decoder(kind.data) for kind in KINDS.values()}
_NAME = re.compile(r"[A-Za-z_][A-Za-z_0-9-]{0,39}")
_AT = re.compile(r"^(?P<reason>.*?) - at `(?P<path>[^`]*)`$", re.DOTALL)
_QUOTED = re.compile(r"Invalid enum value '?(?P<value>.*?)'?", re.DOTALL)
_MISSING = re.compile(r"missing required field `(?P<name>[^`]*)`")


def decode(raw: bytes, topic: str | None = None, received_at: datetime | None = None) -> Event:
    """Check one CloudEvent in structured JSON.

    `topic`: the topic it was read from, if any; `received_at` defaults to the event's own time (history).
    Raises BadEvent naming the field.
    """
    check_form(raw)
    return decode_checked(raw, topic, received_at)


def decode_stored(raw: bytes, received_at: datetime | None = None) -> Event:
    """An event as it is stored, with sealed words. Raises BadEvent: the contract was narrowed after it was stored."""
    return _decode(raw, None, received_at)


def check_form(raw: bytes) -> None:
    """Check what has to hold before a parser reads an event: its size, depth and characters. Raises BadEvent."""
    if len(raw) > MAX_EVENT_BYTES:
        raise BadEvent(f"the event has {len(raw)} bytes, more than {MAX_EVENT_BYTES}")
    check_depth(raw)
    check_text(raw)


def decode_checked(raw: bytes, topic: str | None, received_at: datetime | None) -> Event:
    """`decode` without `check_form`."""
    event = _decode(raw, topic, received_at)
    check_lengths(event.data)
    return event


def _decode(raw: bytes, topic: str | None, received_at: datetime | None) -> Event:
    try:
        envelope = _envelope.decode(raw)
    except (msgspec.DecodeError, RecursionError) as error:
        raise _bad(error, "") from None
    kind = KINDS.get(envelope.type)
    if kind is None:
        raise BadEvent(f"is an unknown type; known are {', '.join(KINDS)}", "type", envelope.type)
    if topic is not None and topic != kind.topic:
        raise BadEvent(f"belongs on topic {kind.topic!r}, not {topic!r}", "type", envelope.type)
    try:
        data = _data[kind.data].decode(envelope.data)
        if getattr(data, "lines", None):
            _quantities.decode(envelope.data)  # a decimal has no bounds for msgspec, and it would also read text
    except (msgspec.DecodeError, RecursionError) as error:
        raise _bad(error, "data") from None
    check = _CHECKS.get(kind.data)
    if check is not None:
        check(data)
    happened = utc(envelope.time, "time")
    return Event(
        envelope.source,
        envelope.id,
        envelope.type,
        happened,
        received_at or happened,
        envelope.historic,
        data,
    )


def _check_order(data: OrderCompleted) -> None:
    if data.timezone is not None:
        check_zone(data.timezone)
    for name in ("requested_at", "promised_at", "first_promised_at"):
        stated = getattr(data, name)
        if stated is not None:
            deadline(stated, data.timezone, f"data.{name}")
    for name in ("ordered_at", "completed_at"):
        moment = getattr(data, name)
        if moment is not None:
            utc(moment, f"data.{name}")
    for index, contact in enumerate(data.contacts):
        if contact.timezone is not None:
            check_zone(contact.timezone, f"data.contacts[{index}].timezone")

    _check_shipments(data)


def _check_shipments(data: OrderCompleted) -> None:
    for index, shipment in enumerate(data.shipments if isinstance(data.shipments, list) else ()):
        if shipment.shipment_id is None and shipment.tracking_number is None:
            raise BadEvent("names neither shipment_id nor tracking_number", f"data.shipments[{index}].shipment_id")
        _check_tracking(shipment.tracking_number, f"data.shipments[{index}].tracking_number")


def _check_tracking(number: str | None, field: str = "data.tracking_number") -> None:
    normal = None if number is None else normal_number(number)
    if normal == "":
        raise BadEvent("has no letter and no digit", field, number)
    if normal is not None and len(normal) > MAX_TRACKING_NUMBER:
        raise BadEvent(f"more than {MAX_TRACKING_NUMBER} letters and digits", field)


def _check_concerned(data: DeliveryUpdated | DeliveryRetracted) -> None:
    if data.order_id is None and data.tracking_number is None:
        raise BadEvent("names neither order_id nor tracking_number", "data.order_id")
    _check_tracking(data.tracking_number)


def _check_repromise(data: OrderRepromised) -> None:
    if data.timezone is not None:
        check_zone(data.timezone)
    deadline(data.promised_at, data.timezone)


def _check_delivery(data: DeliveryUpdated) -> None:
    _check_concerned(data)
    utc(data.at, "data.at")
    if data.estimated_at is not None:  # not used further: in any zone it must be a date or a time
        deadline(data.estimated_at, "UTC", "data.estimated_at")


def _check_answer(data: FeedbackReceived) -> None:
    for name in ("answered_at", "arrived_at"):
        moment = getattr(data, name)
        if moment is not None:
            utc(moment, f"data.{name}")
    check_score(data.score, "data.score.value")


def check_score(score: Score | None, field: str) -> None:
    """Raises BadEvent if a score is not on its scale."""
    if score is not None and score.scale == 5 and not 1 <= score.value <= 5:
        raise BadEvent("is not on the scale 1 to 5", field, score.value)


def _check_correction(data: FeedbackCorrected) -> None:
    utc(data.at, "data.at")
    check_score(data.reading.score, "data.reading.score.value")


_CHECKS: Mapping[type[Struct], Any] = {
    OrderCompleted: _check_order,
    OrderRepromised: _check_repromise,
    DeliveryUpdated: _check_delivery,
    DeliveryRetracted: _check_concerned,
    FeedbackReceived: _check_answer,
    FeedbackCorrected: _check_correction,
}


def _bad(error: Exception, prefix: str) -> BadEvent:
    """The decoder's error as a BadEvent: its `$.lines[0].sku` becomes `data.lines[0].sku`."""
    if isinstance(error, RecursionError):
        return BadEvent("nested too deep", prefix)
    message = str(error)
    found = _AT.match(message)
    reason, path = (found["reason"], found["path"].lstrip("$").lstrip(".")) if found else (message, "")
    missing = _MISSING.search(reason)
    field = ".".join(part for part in [prefix, path, missing["name"] if missing else ""] if part)
    quoted = _QUOTED.fullmatch(reason)
    return BadEvent("is not one of the allowed values", field, quoted["value"]) if quoted else BadEvent(reason, field)


def check_text(raw: bytes) -> None:
    """Refuse what databases cannot store as text: bytes that are not UTF-8, NUL, lone surrogates."""
    try:
        text = raw.decode("utf-8")
    except UnicodeDecodeError as error:
        raise BadEvent(f"not UTF-8 at byte {error.start}") from None
    if b"\\" not in raw and b"\x00" not in raw:  # almost every event
        return
    if b"\\u" not in raw and b"\x00" not in raw:
        return
    try:
        parsed = json.loads(text)  # not the bytes, of which it would guess the encoding
    except (ValueError, RecursionError) as error:
        raise BadEvent(f"not JSON: {error}") from None
    _check_strings(parsed, "")


def _check_strings(value: object, path: str) -> None:
    if isinstance(value, str):
        if "\x00" in value:
            raise BadEvent("contains a NUL character", path)
        if any("\ud800" <= character <= "\udfff" for character in value):
            raise BadEvent("contains a lone surrogate", path)
    elif isinstance(value, dict):
        for key, item in value.items():
            _check_strings(key, path)
            name = key if _NAME.fullmatch(key) else "[...]"  # a key may be anything, also a phone number
            _check_strings(item, f"{path}.{name}" if path else name)
    elif isinstance(value, list):
        for index, item in enumerate(value):
            _check_strings(item, f"{path}[{index}]")
