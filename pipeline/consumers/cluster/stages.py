"""What a worker does with a batch of records, in the thread that talks to the database: orders first, then evidence."""

import logging
from collections.abc import Callable, Sequence
from contextlib import suppress
from datetime import datetime

from aiokafka import ConsumerRecord
from msgspec import DecodeError, Struct
from msgspec.json import Decoder

from pipeline.consumers.cluster.kafka.events import incoming
from pipeline.consumers.cluster.kafka.records import relayed
from pipeline.consumers.cluster.kafka.topics import EVENTS, EVIDENCE
from pipeline.consumers.cluster.runner import ClusterRunner, Dead, Relayed
from pipeline.consumers.cluster.worker_loop import Poison
from pipeline.consumers.intake import Incoming
from pipeline.domain.events.contract import BadEvent

_log = logging.getLogger(__name__)


class Stages:
    """Takes records through the runner, each topic's to the stage where it belongs."""

    def __init__(self, runner: ClusterRunner, prefix: str, now: Callable[[], datetime]) -> None:
        self._runner = runner
        self._prefix = prefix
        self._now = now

    def process(self, records: Sequence[ConsumerRecord]) -> Poison:
        """Have them processed; done again it changes nothing. Returns those that nobody can process."""
        now = self._now()
        read = [self._read(record, now) for record in records]
        pairs = [one for one in read if isinstance(one, Relayed) and one.part]
        dead: list[Dead] = []
        if len(pairs) < len(read):
            dead += self._runner.take([one for one in read if not (isinstance(one, Relayed) and one.part)], now).dead
        if pairs:
            dead += self._runner.observe(pairs, now).dead
        if _log.isEnabledFor(logging.DEBUG):
            _follow(records, read)
        origins = {id(one): record for one, record in zip(read, records, strict=True)}
        poison = [(origins[id(one.record)], one.bad) for one in dead]
        for record, _ in poison:
            where = {"topic": record.topic, "partition": record.partition, "offset": record.offset}
            _log.error("a record is set aside, nobody can process it", extra=where)
        return poison

    def _read(self, record: ConsumerRecord, now: datetime) -> Incoming | Relayed:
        """Never raises: what is broken is for the runner to set aside."""
        topic = record.topic.removeprefix(self._prefix)
        if topic not in (EVENTS, EVIDENCE):
            return incoming(record, self._prefix, now)
        try:
            return relayed(record, topic == EVIDENCE)
        except BadEvent as bad:  # nobody but us is to write there
            position = f"kafka:{record.topic}:{record.partition}:{record.offset}"
            return Incoming(record.value or b"", topic, position, bad, now)


class _Identity(Struct):
    id: str


_identity = Decoder(_Identity)


def _follow(records: Sequence[ConsumerRecord], read: Sequence[Incoming | Relayed]) -> None:
    """Tell of each event that a worker is through with it."""
    for record, one in zip(records, read, strict=True):
        where = {"topic": record.topic, "partition": record.partition, "offset": record.offset}
        with suppress(DecodeError):
            event = _identity.decode(one.payload if isinstance(one, Relayed) else one.raw)
            _log.debug("processed", extra=where | {"event": event.id})
