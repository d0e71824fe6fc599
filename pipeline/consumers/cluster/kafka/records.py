"""The Kafka records of an event of the journal: for our own workers, and for other consumers.

An event that waits for its processor goes to `unvarnished-events`, with its order as key. A pair also goes to
`unvarnished-evidence`, once for each of its segments, so that one worker at a time updates the evidence of a segment.
"""

from collections.abc import Iterable, Mapping, Sequence
from datetime import datetime

import msgspec
from aiokafka import ConsumerRecord
from msgspec import Struct

from pipeline.consumers.cluster.kafka.events import OutgoingRecord, outgoing
from pipeline.consumers.cluster.kafka.topics import DEAD_LETTERS, EVENTS, EVIDENCE, RECEIVED
from pipeline.consumers.cluster.relayed_event import FLEET, RelayedEvent, part_of
from pipeline.domain.detection.segments import Level, segments_counted
from pipeline.domain.events.contract import EVIDENCE as EVIDENCE_EVENTS
from pipeline.domain.events.contract import KINDS, BadEvent
from pipeline.domain.events.tracking import normal_number
from pipeline.domain.orders.parcels import NO_ORDER
from pipeline.store.journal.outbox import PendingEvent

_SEQ, _AT = "seq", "received-at"
_DELIVERIES = frozenset(name for name, kind in KINDS.items() if kind.topic == "deliveries")
_TRACKING = '"tracking_number"'


class _Data(Struct):
    """The part of an event's data that decides its keys."""

    order_id: str | None = None
    tracking_number: str | None = None
    dimensions: dict[str, str] = msgspec.field(default_factory=dict)


class _Envelope(Struct):
    data: _Data


_envelope = msgspec.json.Decoder(_Envelope)


def records_of(
    event: PendingEvent, levels: Sequence[Level], prefix: str, orders: Mapping[str, str] | None = None
) -> list[OutgoingRecord]:
    """The records of this event, those for our own workers first.

    `orders`: the orders of tracking numbers, for events that name no order (see `unnamed_numbers`).
    """
    value = event.payload.encode()
    headers = [(_SEQ, str(event.seq).encode()), (_AT, event.received_at.isoformat().encode())]
    data = _envelope.decode(value).data
    key = data.order_id or _key_of_number(data.tracking_number or "", orders or {})
    if event.dead:
        return [_unclaimed(event, prefix, key)]
    records = [] if event.outgoing else [OutgoingRecord(prefix + EVENTS, key.encode(), value, headers)]
    if event.type in EVIDENCE_EVENTS:
        parts = [*map(part_of, segments_counted(data.dimensions, levels))]
        if event.type != "embellishment.observed":  # whose baselines follow from the other segments alone
            parts.insert(0, FLEET)
        records += [OutgoingRecord(prefix + EVIDENCE, part.encode(), value, headers) for part in parts]
    if KINDS[event.type].topic not in RECEIVED:  # what comes from outside is not published again
        records.append(outgoing(event.type, event.payload, prefix))
    return records


def _unclaimed(event: PendingEvent, prefix: str, key: str) -> OutgoingRecord:
    """The dead letter of an event whose tracking number leads to no order; `seq` replaces partition and offset."""
    headers = {
        "topic": prefix + KINDS[event.type].topic,
        _SEQ: str(event.seq),
        "reason": NO_ORDER.reason,
        "field": NO_ORDER.field,
    }
    encoded = [(name, text.encode()) for name, text in headers.items()]
    return OutgoingRecord(prefix + DEAD_LETTERS, key.encode(), event.payload.encode(), encoded)


def unnamed_numbers(events: Iterable[PendingEvent]) -> set[str]:
    """The tracking numbers of those events that name no order, in their normal form."""
    numbers = set[str]()
    for event in events:
        if event.type in _DELIVERIES and _TRACKING in event.payload:
            data = _envelope.decode(event.payload.encode()).data
            if data.order_id is None:
                numbers.add(normal_number(data.tracking_number or ""))
    return numbers


def _key_of_number(number: str, orders: Mapping[str, str]) -> str:
    """The key of an event that names no order: an order with its number, so that it follows that order's events."""
    normal = normal_number(number)
    return orders.get(normal, normal)


def relayed_event(record: ConsumerRecord, of_evidence: bool) -> RelayedEvent:
    """Read a record of one of our own topics. Raises BadEvent if no relay wrote it."""
    headers = dict(record.headers)
    try:
        seq, at = int(headers[_SEQ]), datetime.fromisoformat(headers[_AT].decode())
        part = record.key.decode() if of_evidence else ""
    except (KeyError, ValueError, AttributeError):
        raise BadEvent("not written by a relay of this installation", _SEQ) from None
    if record.value is None or (of_evidence and part != FLEET and "=" not in part):
        raise BadEvent("not written by a relay of this installation", "key")
    return RelayedEvent(seq, part, record.value, at)
