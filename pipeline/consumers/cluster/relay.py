"""Publishes what the journal has to tell: from the outbox to Kafka, and off the outbox once the broker has it all.

There is no position that could pass by an event which is committed late: what is told is deleted, what is there is
still to be told. Trouble that passes, of broker or database, is waited out; the event that no broker will ever take is
set aside among the dead letters, so that those behind it go on.
"""

import logging
import time
from collections.abc import Callable, Sequence
from contextlib import suppress
from datetime import datetime
from typing import NamedTuple

from kafka import KafkaProducer
from kafka.errors import InvalidRecordError, KafkaError, MessageSizeTooLargeError, RecordListTooLargeError
from sqlalchemy import Connection, Engine

from pipeline import metrics
from pipeline.consumers.cluster.kafka.records import records_of
from pipeline.consumers.intake import Incoming, keep, letter
from pipeline.consumers.runtime.background import Background
from pipeline.consumers.runtime.embedded import passes
from pipeline.domain.detection.segments import Level
from pipeline.domain.events.contract import BadEvent
from pipeline.store.db.engine import reading
from pipeline.store.journal import outbox
from pipeline.store.journal.journal import SHARDS
from pipeline.store.journal.outbox import Untold
from pipeline.store.people.vault import Vault

_BATCH = 2_000  # events a transaction
_AT_ONCE = SHARDS // 2  # shards a transaction: two relays work side by side, and one alone takes both halves in turn
_IDLE_SECONDS = 0.025  # between two looks at halves with nothing in them
_COUNT_SECONDS = 5.0  # between two counts of what waits
_AGAIN_SECONDS = 1.0  # until the next try while something is away
_ANSWER_SECONDS = 7.0  # for the broker to have a batch: our transaction is not left idle for longer than ten
_CLOSE_SECONDS = 1.0  # for a producer that failed: what it still holds is sent again by the next one
_REFUSALS = (MessageSizeTooLargeError, RecordListTooLargeError, InvalidRecordError)
_log = logging.getLogger(__name__)


class _Sent(NamedTuple):
    """How publishing some events went: what the broker has, what it will never take, and what stood in the way."""

    told: list[int]
    refused: list[tuple[Untold, KafkaError]]
    trouble: KafkaError | None


class RelayThread(Background):
    """Publishes until it is stopped. Several may run, in one process or in many."""

    def __init__(
        self,
        engine: Engine,
        vault: Vault,
        levels: Sequence[Level],
        prefix: str,
        opened: Callable[[], KafkaProducer],
        now: Callable[[], datetime],
    ) -> None:
        super().__init__("relay")
        self._engine = engine
        self._vault = vault
        self._levels = levels
        self._prefix = prefix
        self._opened = opened
        self._now = now
        self._producer: KafkaProducer | None = None
        self._first = 0  # of the shards that are looked at next
        self._count_at = 0.0
        self._troubles: dict[int, str] = {}  # why nothing of these shards is published now, by the first of them

    def run_once(self) -> int:
        """Publish whatever waits. Returns how many events that were. Raises KafkaError. Not beside `start`."""
        total = empty = 0
        while empty * _AT_ONCE < SHARDS:
            self._first = (self._first + _AT_ONCE) % SHARDS
            done = self._publish()
            total, empty = total + done, 0 if done else empty + 1
        return total

    def troubles(self) -> Sequence[str]:
        """What keeps it from publishing, in sentences."""
        return sorted(set(self._troubles.values()))

    def _work(self) -> None:
        try:
            wait = 0.0
            while self._pause(wait):
                wait = self._turn()
        finally:
            self._close()

    def _turn(self) -> float:
        """Publish what the next half of the shards holds. Returns the seconds to wait before the next turn."""
        self._first = (self._first + _AT_ONCE) % SHARDS
        try:
            done = self._publish()
            self._count()
        except KafkaError as error:
            self._close()
            return self._note(f"the broker takes nothing ({type(error).__name__})")
        except Exception as error:
            if not passes(error):
                raise
            return self._note(f"the database does not answer ({type(error).__name__})")
        self._troubles.pop(self._first, None)
        return 0.0 if done else _IDLE_SECONDS

    def _publish(self) -> int:
        """One transaction. Returns how many events were settled. Raises KafkaError, after what was told is noted."""
        started = time.perf_counter()
        shards = range(self._first, self._first + _AT_ONCE)
        with self._engine.begin() as connection:
            events = outbox.read(connection, outbox.take_shards(connection, shards), _BATCH)
            if not events:
                return 0
            sent = self._send(events)
            self._set_aside(connection, sent.refused)
            outbox.strike(connection, sent.told + [event.seq for event, _ in sent.refused])
        if _log.isEnabledFor(logging.DEBUG):
            told = set(sent.told)
            for event in events:
                if event.seq in told:
                    _log.debug("published", extra={"event": event.id, "seq": event.seq})
        metrics.RELAYED.inc(len(sent.told))
        metrics.RELAY_SECONDS.observe(time.perf_counter() - started)
        if sent.trouble is not None:
            raise sent.trouble
        return len(events)

    def _send(self, events: Sequence[Untold]) -> _Sent:
        """Publish all, and one by one those that were refused: their batch may have been, for another's sake."""
        told, failed = self._try(events)
        refused = list[tuple[Untold, KafkaError]]()
        for event in [event for event in events if event.seq in failed]:
            error: KafkaError | None = failed[event.seq]
            if isinstance(error, _REFUSALS):
                self._close()  # after a refusal a producer refuses everything, and a new one does not
                again, left = self._try([event])
                told += again
                error = left.get(event.seq)
            if isinstance(error, _REFUSALS):
                refused.append((event, error))
                self._close()
            elif error is not None:
                return _Sent(told, refused, error)
        return _Sent(told, refused, None)

    def _try(self, events: Sequence[Untold]) -> tuple[list[int], dict[int, KafkaError]]:
        """Returns the places of the events of which the broker has every record, and what became of the others."""
        failed: dict[int, KafkaError] = {}
        futures = []
        for event in events:
            try:
                producer = self._producer = self._producer or self._opened()
                for topic, key, value, headers in records_of(event, self._levels, self._prefix):
                    futures.append((event.seq, producer.send(topic, value, key, list(headers))))
            except KafkaError as error:
                failed[event.seq] = error
                if not isinstance(error, _REFUSALS):
                    break  # what comes behind it would overtake it
        # Asked one by one: `flush` also returns when a batch that was too large is on its way again in parts.
        until = time.monotonic() + _ANSWER_SECONDS
        for seq, future in futures:
            try:
                future.get(max(0.0, until - time.monotonic()))  # type: ignore[no-untyped-call]
            except KafkaError as error:
                failed.setdefault(seq, error)
        sent = dict.fromkeys(seq for seq, _ in futures)
        return [seq for seq in sent if seq not in failed], failed

    def _set_aside(self, connection: Connection, refused: Sequence[tuple[Untold, KafkaError]]) -> None:
        letters = []
        for event, error in refused:
            bad = BadEvent(f"the broker refuses to take it: {type(error).__name__}")
            incoming = Incoming(event.payload.encode(), None, f"journal:{event.seq}")
            letters.append(letter(self._vault, incoming, bad, self._now()))
            metrics.DEAD.inc()
            _log.critical("an event is set aside, the broker refuses it", extra={"event": event.id, "seq": event.seq})
        keep(connection, letters)

    def _count(self) -> None:
        if time.monotonic() < self._count_at:
            return
        self._count_at = time.monotonic() + _COUNT_SECONDS
        with reading(self._engine) as connection:
            waiting = outbox.backlog(connection)
        metrics.OUTBOX.set(waiting.events)
        since = waiting.since
        metrics.OUTBOX_SECONDS.set(0 if since is None else max(0.0, (self._now() - since).total_seconds()))

    def _note(self, trouble: str) -> float:
        if self._troubles.get(self._first) != trouble:
            _log.error("nothing is published: %s", trouble)
        self._troubles[self._first] = trouble
        return _AGAIN_SECONDS

    def _close(self) -> None:
        producer, self._producer = self._producer, None
        if producer is not None:
            with suppress(KafkaError):
                producer.close(_CLOSE_SECONDS)
