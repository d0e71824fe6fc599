"""Processes a worker's records in the thread that uses the database: first those of orders, then the evidence."""

import logging
from collections.abc import Callable, Sequence
from contextlib import suppress
from datetime import datetime

from aiokafka import ConsumerRecord
from msgspec import DecodeError, Struct
from msgspec.json import Decoder

from pipeline.consumers.cluster.kafka.events import incoming
from pipeline.consumers.cluster.kafka.records import relayed_event
from pipeline.consumers.cluster.kafka.topics import EVENTS, EVIDENCE
from pipeline.consumers.cluster.relayed_event import RelayedEvent
from pipeline.consumers.cluster.runner import ClusterRunner, PoisonRecord
from pipeline.consumers.cluster.worker_loop import PoisonRecords
from pipeline.consumers.intake import Incoming
from pipeline.domain.events.contract import BadEvent

_log = logging.getLogger(__name__)


class RecordProcessor:
    """Processes records with the runner, each in the stage of its topic."""

    def __init__(self, runner: ClusterRunner, prefix: str, now: Callable[[], datetime]) -> None:
        self._runner = runner
        self._prefix = prefix
        self._now = now

    def process(self, records: Sequence[ConsumerRecord]) -> PoisonRecords:
        """Process records; processed again they change nothing. Returns those that cannot be processed."""
        now = self._now()
        read = [self._read(record, now) for record in records]
        pairs = [one for one in read if isinstance(one, RelayedEvent) and one.part]
        events = [one for one in read if not (isinstance(one, RelayedEvent) and one.part)]
        dead: list[PoisonRecord] = []
        if events:
            dead += self._runner.process_events(events, now).dead
        if pairs:
            dead += self._runner.process_evidence(pairs, now).dead
        if _log.isEnabledFor(logging.DEBUG):
            _log_processed(records, read)
        origins = {id(one): record for one, record in zip(read, records, strict=True)}
        poison = [(origins[id(one.record)], one.bad) for one in dead]
        for record, _ in poison:
            _log.error("a record cannot be processed: dead letter", extra=_position(record))
        return poison

    def _read(self, record: ConsumerRecord, now: datetime) -> Incoming | RelayedEvent:
        """Never raises: the runner makes a dead letter of what is broken."""
        topic = record.topic.removeprefix(self._prefix)
        if topic not in (EVENTS, EVIDENCE):
            return incoming(record, self._prefix, now)
        try:
            return relayed_event(record, topic == EVIDENCE)
        except BadEvent as bad:  # something other than a relay wrote it
            position = f"kafka:{record.topic}:{record.partition}:{record.offset}"
            return Incoming(record.value or b"", topic, position, bad, now)


class _Identity(Struct):
    id: str


_identity = Decoder(_Identity)


def _log_processed(records: Sequence[ConsumerRecord], read: Sequence[Incoming | RelayedEvent]) -> None:
    for record, one in zip(records, read, strict=True):
        with suppress(DecodeError, RecursionError, UnicodeDecodeError):  # of a dead letter
            event = _identity.decode(one.payload if isinstance(one, RelayedEvent) else one.raw)
            _log.debug("processed", extra=_position(record) | {"event": event.id})


def _position(record: ConsumerRecord) -> dict[str, object]:
    return {"topic": record.topic, "partition": record.partition, "offset": record.offset}
