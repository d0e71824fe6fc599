"""Which Kafka records tell an event of the journal, and how our own topics carry it to the workers.

An event that waits for its processor goes to `unvarnished-events` under its order. A pair also goes to
`unvarnished-evidence` once for each of its segments, so that a segment's evidence is made by one worker at a time.
"""

from collections.abc import Sequence
from datetime import datetime

import msgspec
from aiokafka import ConsumerRecord
from msgspec import Struct

from pipeline.consumers.cluster.kafka.events import Outgoing, outgoing
from pipeline.consumers.cluster.kafka.topics import EVENTS, EVIDENCE, RECEIVED
from pipeline.consumers.cluster.runner import FLEET, Relayed, part_of
from pipeline.domain.detection.segments import Level, segments_of
from pipeline.domain.events.contract import KINDS, BadEvent
from pipeline.store.journal.outbox import Untold

_SEQ, _AT = "seq", "received-at"


class _About(Struct):
    """As much of an event's data as says where it belongs."""

    order_id: str = ""
    dimensions: dict[str, str] = msgspec.field(default_factory=dict)


class _Envelope(Struct):
    data: _About


_envelope = msgspec.json.Decoder(_Envelope)


def records_of(event: Untold, levels: Sequence[Level], prefix: str) -> list[Outgoing]:
    """The records that tell this event, to our own processors first."""
    value = event.payload.encode()
    place = [(_SEQ, str(event.seq).encode()), (_AT, event.received_at.isoformat().encode())]
    about = _envelope.decode(value).data
    records = [] if event.outgoing else [Outgoing(prefix + EVENTS, about.order_id.encode(), value, place)]
    if event.type == "fulfilment.compared":
        parts = [FLEET, *map(part_of, segments_of(about.dimensions, levels))]
        records += [Outgoing(prefix + EVIDENCE, part.encode(), value, place) for part in parts]
    if KINDS[event.type].topic not in RECEIVED:  # what others tell us is not told again
        records.append(outgoing(event.type, event.payload, prefix))
    return records


def relayed(record: ConsumerRecord, of_evidence: bool) -> Relayed:
    """A record of one of our own topics, as a relay wrote it. Raises BadEvent if none did."""
    headers = dict(record.headers)
    try:
        place, at = int(headers[_SEQ]), datetime.fromisoformat(headers[_AT].decode())
        part = record.key.decode() if of_evidence else ""
    except (KeyError, ValueError, AttributeError):
        raise BadEvent("no relay of ours wrote this", _SEQ) from None
    if record.value is None or (of_evidence and part != FLEET and "=" not in part):
        raise BadEvent("no relay of ours wrote this", "key")
    return Relayed(place, part, record.value, at)
