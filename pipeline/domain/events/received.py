"""An event as others send it, and as it is stored: with the shapes that CloudEvents allows, in one form.

What is stored is plain: `data` is an object, types are ours, ids have one spelling, `time` is there.
"""

import binascii
from base64 import b64decode
from collections.abc import Mapping
from datetime import datetime
from decimal import Decimal, InvalidOperation
from hashlib import sha256
from typing import Any, NamedTuple

import msgspec

from pipeline.domain.events.cloudevents import BOM
from pipeline.domain.events.contract import OWN_SOURCE, BadEvent, Event
from pipeline.domain.events.decoding import check_form, check_text, decode_checked
from pipeline.domain.events.depth import check_depth
from pipeline.domain.events.spelling import is_normal, respell

TIME_ASSUMED = "timeassumed"  # attribute of a stored event: it came without a time, so its `time` is that of receipt
FOREIGN_TYPE = "foreigntype"  # attribute of a stored event: the type it was sent with, translated by a setting
_PLAIN_DIGITS = 30  # numbers up to this size are written without an exponent


class Received(NamedTuple):
    """A checked event from outside."""

    event: Event
    raw: bytes  # in the form that is stored
    content: bytes  # a hash of type, subject, data and time as sent; b"": of our own events


class _Number:
    """A number with fraction or exponent, as it was written."""

    __slots__ = ("text",)

    def __init__(self, text: str) -> None:
        self.text = text


def _as_written(value: object) -> msgspec.Raw:
    if isinstance(value, _Number):
        return msgspec.Raw(value.text.encode())
    raise NotImplementedError


def _as_canonical(value: object) -> msgspec.Raw:
    """10.0, 1e1 and 10 are one number."""
    text = _as_written(value)
    try:
        sign, digits, exponent = Decimal(bytes(text).decode()).as_tuple()
    except InvalidOperation:  # an exponent that no number has
        return text
    shown = "".join(map(str, digits)).lstrip("0")
    stripped = shown.rstrip("0")
    power = int(exponent) + len(shown) - len(stripped)
    if not stripped:
        return msgspec.Raw(b"0")
    plain = power >= 0 and len(stripped) + power <= _PLAIN_DIGITS
    number = stripped + "0" * power if plain else f"{stripped}E{power}"
    return msgspec.Raw(f"{'-' if sign else ''}{number}".encode())


# They keep numbers as they were written.
parse = msgspec.json.Decoder(float_hook=_Number).decode
encode = msgspec.json.Encoder(enc_hook=_as_written).encode
_canonical = msgspec.json.Encoder(enc_hook=_as_canonical, order="sorted").encode


def read(
    raw: bytes, topic: str | None = None, received_at: datetime | None = None, types: Mapping[str, str] | None = None
) -> Received:
    """Check an event in structured JSON and bring it into the form that is stored.

    `topic`: the topic it was read from, if any. `received_at`: the time of an event that has none; None: it must have
    one (history). `types`: our types by those of other systems. Raises BadEvent naming the field.
    """
    raw = raw.removeprefix(BOM)
    check_form(raw)
    envelope = _parsed(raw, "")
    if not isinstance(envelope, dict):
        return Received(decode_checked(raw, topic, received_at), raw, b"")  # raises: it is no event
    changed = _translate(envelope, types or {})
    changed = _drop_null_attributes(envelope) or changed
    changed = _plain_data(envelope) or changed
    own = _is_own(envelope.get("source"))
    said = b"" if own else _said(envelope)
    timed = "time" in envelope
    changed = _assume_time(envelope, received_at) or changed
    if not own and not is_normal(_names(envelope) + said):
        changed = respell(envelope) or changed
    if changed:
        raw = encode(envelope)
    event, raw = _decode(raw, envelope, topic, received_at)
    when = encode(event.time) if timed else b""
    return Received(event, raw, b"" if own else sha256(said + when).digest())


def _decode(
    raw: bytes, envelope: dict[str, Any], topic: str | None, received_at: datetime | None
) -> tuple[Event, bytes]:
    try:
        return decode_checked(raw, topic, received_at), raw
    except BadEvent as bad:
        if not _drop_nulls(envelope.get("data")):
            raise
        raw = encode(envelope)  # many systems write null for what they do not have
        try:
            return decode_checked(raw, topic, received_at), raw
        except BadEvent as other:
            raise (bad if other.field == bad.field else other) from None


def _parsed(raw: bytes, field: str) -> Any:
    try:
        return parse(raw)
    except (msgspec.DecodeError, RecursionError, UnicodeDecodeError) as error:
        raise BadEvent(f"not JSON: {error}", field) from None


def _is_own(source: object) -> bool:
    return isinstance(source, str) and (source == OWN_SOURCE or source.startswith(f"{OWN_SOURCE}/"))


def _translate(envelope: dict[str, Any], types: Mapping[str, str]) -> bool:
    kind = envelope.get("type")
    ours = types.get(kind) if isinstance(kind, str) else None
    if ours is None:
        return envelope.pop(FOREIGN_TYPE, None) is not None
    envelope[FOREIGN_TYPE] = kind
    envelope["type"] = ours
    return True


def _drop_null_attributes(envelope: dict[str, Any]) -> bool:
    """An attribute that is null is absent (CloudEvents JSON format 1.0, section 2.1)."""
    if None not in envelope.values():
        return False
    for name in [name for name, value in envelope.items() if value is None]:
        del envelope[name]
    return True


def _plain_data(envelope: dict[str, Any]) -> bool:
    """Make an object of `data` in base64, or as JSON text."""
    data = envelope.get("data")
    if "data_base64" in envelope:
        if data is not None:
            raise BadEvent("an event has either data or data_base64", "data_base64")
        envelope["data"] = _from_text(_from_base64(envelope.pop("data_base64")), "data_base64")
    elif isinstance(data, str):
        envelope["data"] = _from_text(data.encode(), "data")
    else:
        return False
    if envelope.get("datacontenttype") is not None:
        envelope["datacontenttype"] = "application/json"
    return True


def _from_base64(text: object) -> bytes:
    try:
        return b64decode(text, validate=True) if isinstance(text, str) else b64decode("?", validate=True)
    except (binascii.Error, ValueError):
        raise BadEvent("not base64", "data_base64") from None


def _from_text(text: bytes, field: str) -> Any:
    text = text.removeprefix(BOM)
    try:
        check_depth(text)
        check_text(text)
    except BadEvent as bad:
        raise BadEvent(bad.reason, field) from None
    return _parsed(text, field)


def _said(envelope: dict[str, Any]) -> bytes:
    """What an event says, without time and extensions: the same whatever spaces and order of keys it was sent with."""
    return _canonical([envelope.get("type"), envelope.get("subject"), envelope.get("data")])


def _names(envelope: dict[str, Any]) -> bytes:
    """The attributes that have one spelling, as JSON."""
    return encode([envelope.get("id"), envelope.get("source"), envelope.get("type")])


def _assume_time(envelope: dict[str, Any], received_at: datetime | None) -> bool:
    if "time" in envelope or received_at is None:
        return envelope.pop(TIME_ASSUMED, None) is not None
    envelope["time"] = received_at
    envelope[TIME_ASSUMED] = True
    return True


def _drop_nulls(value: object) -> bool:
    """Remove the members of objects that are null, at any depth. Whether there were any."""
    if isinstance(value, list):
        return True in [_drop_nulls(item) for item in value]
    if not isinstance(value, dict):
        return False
    nulls = [name for name, item in value.items() if item is None]
    for name in nulls:
        del value[name]
    return True in [_drop_nulls(item) for item in value.values()] or bool(nulls)
