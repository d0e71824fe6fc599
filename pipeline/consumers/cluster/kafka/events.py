"""CloudEvents on Kafka: reads a record in structured or binary mode for the intake, and makes a record of an event.

Pure: clients and connections are elsewhere.
"""

import re
from collections.abc import Mapping, Sequence
from datetime import datetime
from typing import NamedTuple

import msgspec
from msgspec import Struct

from pipeline.consumers.intake import Incoming
from pipeline.domain.events.cloudevents import JSON, STRUCTURED, is_json, structured
from pipeline.domain.events.contract import KINDS, BadEvent
from pipeline.domain.events.published import for_publication

_HEADERS = (("content-type", f"{STRUCTURED}; charset=UTF-8".encode()),)
_ATTRIBUTE = re.compile(r"ce_(?P<name>[a-z0-9]+)")


class KafkaRecord(NamedTuple):
    """A record as the clients return it. `topic` is its name on the cluster, with the prefix."""

    topic: str
    partition: int
    offset: int
    value: bytes | None
    headers: Sequence[tuple[str, bytes | None]]


class OutgoingRecord(NamedTuple):
    """A record to be written. Events of one key stay in their order."""

    topic: str
    key: bytes
    value: bytes
    headers: Sequence[tuple[str, bytes]]


def incoming(record: KafkaRecord, prefix: str = "", received_at: datetime | None = None) -> Incoming:
    """A record for the intake. Never raises: if it cannot be read, the result has a `fault` and the bytes as they came.

    `prefix`: of the installation's topics. `received_at`: when the record was received; None: when the event happened.
    """
    topic = record.topic.removeprefix(prefix)
    position = f"kafka:{record.topic}:{record.partition}:{record.offset}"
    try:
        raw = _event(record)
    except BadEvent as bad:
        return Incoming(record.value or b"", topic, position, bad, received_at)
    return Incoming(raw, topic, position, None, received_at)


def _event(record: KafkaRecord) -> bytes:
    if record.value is None:
        raise BadEvent("the record has no value")
    headers = {name: value or b"" for name, value in record.headers}
    if len(headers) < len(record.headers):
        _refuse_ambiguous([name for name, _ in record.headers])
    media = _text("content-type", headers.get("content-type", b"")).partition(";")[0].strip().lower()
    if media.startswith("application/cloudevents"):
        if media != STRUCTURED:
            raise BadEvent(f"is not {STRUCTURED}", "content-type", media[:100])
        return record.value
    if "ce_specversion" not in headers:
        return record.value  # the check of the envelope decides
    if not is_json(media):
        raise BadEvent(f"is not {JSON}", "content-type", media[:100])
    return structured(_attributes(headers), record.value)


def _attributes(headers: Mapping[str, bytes]) -> dict[str, str]:
    found = ((_ATTRIBUTE.fullmatch(name), value) for name, value in headers.items())
    return {match["name"]: _text(match["name"], value) for match, value in found if match}


def _refuse_ambiguous(names: Sequence[str]) -> None:
    for name in names:
        if names.count(name) > 1 and (match := _ATTRIBUTE.fullmatch(name)):
            raise BadEvent("the header is there twice", match["name"])


def _text(name: str, value: bytes) -> str:
    try:
        return value.decode()
    except UnicodeDecodeError as error:
        raise BadEvent(f"not UTF-8 at byte {error.start}", name) from None


class _Named(Struct):
    """The fields that a key consists of."""

    order_id: str | None = None
    dimension: str = ""
    value: str = ""
    incident_id: str | None = None
    case_id: str | None = None

    @property
    def key(self) -> str:
        """The key of the record (`contract.key_of`)."""
        if self.dimension:
            return f"{self.dimension}={self.value}"
        return self.case_id or self.incident_id or self.order_id or ""


class _Envelope(Struct):
    data: _Named


_named = msgspec.json.Decoder(_Envelope)


def outgoing(kind: str, payload: str, prefix: str = "") -> OutgoingRecord:
    """An event of the journal as a record in structured mode, on the topic of its type, without words.

    Its key is the order; for an alert the segment, for an incident its id. Consumers read the events of one
    key in the order of publication.
    """
    topic = KINDS[kind].topic
    value = for_publication(kind, payload.encode())
    return OutgoingRecord(prefix + topic, _named.decode(value).data.key.encode(), value, _HEADERS)
