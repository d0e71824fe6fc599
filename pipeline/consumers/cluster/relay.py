"""Publishes the events in the outbox to Kafka, and deletes each from the outbox once the broker has all its records.

There is no position that could skip an event committed late: what is published is deleted, what is left is still to be
published. A transient failure of broker or database is retried without end. An event that no broker accepts becomes a
dead letter, so that those behind it are published.
"""

import logging
import time
from collections.abc import Callable, Mapping, Sequence
from contextlib import suppress
from datetime import datetime
from typing import NamedTuple

from kafka import KafkaProducer
from kafka.errors import InvalidRecordError, KafkaError, MessageSizeTooLargeError, RecordListTooLargeError
from sqlalchemy import Connection

from pipeline import metrics
from pipeline.consumers.cluster.kafka.records import records_of, unnamed_numbers
from pipeline.consumers.intake import dead_letter_of_journal
from pipeline.consumers.runtime.background import Background
from pipeline.consumers.runtime.retries import is_transient
from pipeline.domain.detection.levels import LevelHistory
from pipeline.domain.detection.segments import Level
from pipeline.domain.events.contract import BadEvent
from pipeline.store.db.engine import reading
from pipeline.store.evidence import level_changes
from pipeline.store.journal import dead_letters, outbox
from pipeline.store.journal.outbox import PendingEvent
from pipeline.store.journal.shared_journal import SHARDS
from pipeline.store.orders.tracking import first_order_of
from pipeline.store.store import Store

_BATCH_SIZE = 2_000  # events a transaction
# Half of the shards a transaction: two relays work in parallel, and a single one publishes both halves in turn.
_SHARDS_AT_ONCE = SHARDS // 2
_IDLE_SECONDS = 0.025  # between two reads of empty shards
_COUNT_SECONDS = 5.0  # between two measurements of the outbox
_RETRY_SECONDS = 1.0  # until the next attempt while broker or database is unavailable
_ACKNOWLEDGE_SECONDS = 7.0  # for the broker to acknowledge a batch: no transaction is left idle for more than ten
_CLOSE_SECONDS = 1.0  # for a failed producer: what it still holds is sent again by the next one
_REFUSALS = (MessageSizeTooLargeError, RecordListTooLargeError, InvalidRecordError)
_log = logging.getLogger(__name__)


class _PublishResult(NamedTuple):
    """The result of publishing some events."""

    published: list[int]  # sequence numbers
    refused: list[tuple[PendingEvent, KafkaError]]  # no broker will ever accept these
    error: KafkaError | None  # why the rest was not published


class RelayThread(Background):
    """Publishes until it is stopped. Several may run, in one process or in many."""

    def __init__(
        self,
        store: Store,
        levels: Sequence[Level],
        prefix: str,
        open_producer: Callable[[], KafkaProducer],
        now: Callable[[], datetime],
    ) -> None:
        super().__init__("relay")
        self._store = store
        self._first_levels = tuple(levels)  # of the first start
        self._levels: Sequence[Level] = levels  # that are watched now
        self._prefix = prefix  # of the topics
        self._open_producer = open_producer
        self._now = now
        self._producer: KafkaProducer | None = None
        self._first_shard = 0  # of the half that is read next
        self._count_at = 0.0
        self._orders: Mapping[str, str] = {}  # of the batch's tracking numbers
        self._problems: dict[int, str] = {}  # why nothing of a half is published, by its first shard

    def run_once(self) -> int:
        """Publish all that is in the outbox. Returns the number of events. Raises KafkaError. Not with `start`."""
        total = empty = 0
        while empty * _SHARDS_AT_ONCE < SHARDS:
            self._next_shards()
            done = self._publish()
            total, empty = total + done, 0 if done else empty + 1
        return total

    def problems(self) -> Sequence[str]:
        """What keeps it from publishing, in sentences."""
        return sorted(set(self._problems.values()))

    def _work(self) -> None:
        try:
            wait = 0.0
            while self._pause(wait):
                wait = self._publish_next_shards()
        finally:
            self._close()

    def _next_shards(self) -> None:
        self._first_shard = (self._first_shard + _SHARDS_AT_ONCE) % SHARDS

    def _publish_next_shards(self) -> float:
        """Publish a batch from the next half of the shards. Returns the seconds to wait before the next one."""
        self._next_shards()
        try:
            done = self._publish()
            self._measure_outbox()
        except KafkaError as error:
            self._close()
            return self._note_problem(f"the broker is unavailable ({type(error).__name__})")
        except Exception as error:
            if not is_transient(error):
                raise
            return self._note_problem(f"the database is unavailable ({type(error).__name__})")
        self._problems.pop(self._first_shard, None)
        return 0.0 if done else _IDLE_SECONDS

    def _publish(self) -> int:
        """Publish a batch in one transaction. Returns the number of events that left the outbox.

        Raises KafkaError, after it has deleted what was published before the error.
        """
        started = time.perf_counter()
        shards = [*range(self._first_shard, self._first_shard + _SHARDS_AT_ONCE), outbox.DEAD_LETTERS]
        with self._store.engine.begin() as connection:
            events = outbox.read(connection, outbox.lock_shards(connection, shards), _BATCH_SIZE)
            if not events:
                return 0
            self._levels = LevelHistory(self._first_levels, level_changes.hold(connection)).watched
            numbers = unnamed_numbers(events)
            self._orders = first_order_of(connection, numbers) if numbers else {}
            result = self._send(events)
            self._store_dead_letters(connection, result.refused)
            outbox.mark_published(connection, result.published + [event.seq for event, _ in result.refused])
        if _log.isEnabledFor(logging.DEBUG):
            published = set(result.published)
            for event in events:
                if event.seq in published:
                    _log.debug("published", extra={"event": event.id, "seq": event.seq})
        metrics.RELAYED.inc(len(result.published))
        metrics.RELAY_SECONDS.observe(time.perf_counter() - started)
        if result.error is not None:
            raise result.error
        return len(events)

    def _send(self, events: Sequence[PendingEvent]) -> _PublishResult:
        """Send all events. Send those that were refused once more, each by itself: another one of their batch may be
        the reason.
        """
        published, failed = self._send_together(events)
        refused = list[tuple[PendingEvent, KafkaError]]()
        for event in [event for event in events if event.seq in failed]:
            error: KafkaError | None = failed[event.seq]
            if isinstance(error, _REFUSALS):
                self._close()  # after a refusal a producer refuses everything, and a new one does not
                alone, failed_alone = self._send_together([event])
                published += alone
                error = failed_alone.get(event.seq)
            if isinstance(error, _REFUSALS):
                refused.append((event, error))
                self._close()
            elif error is not None:
                return _PublishResult(published, refused, error)
        return _PublishResult(published, refused, None)

    def _send_together(self, events: Sequence[PendingEvent]) -> tuple[list[int], dict[int, KafkaError]]:
        """Returns the sequence numbers of events of which the broker has every record, and the errors of the others."""
        failed: dict[int, KafkaError] = {}
        futures = []
        for event in events:
            try:
                producer = self._producer = self._producer or self._open_producer()
                for topic, key, value, headers in records_of(event, self._levels, self._prefix, self._orders):
                    futures.append((event.seq, producer.send(topic, value, key, list(headers))))
            except KafkaError as error:
                failed[event.seq] = error
                if not isinstance(error, _REFUSALS):
                    break  # the events behind it would overtake it
        # Each future is waited for: `flush` also returns while a batch that was too large is sent again in parts.
        until = time.monotonic() + _ACKNOWLEDGE_SECONDS
        for seq, future in futures:
            try:
                future.get(max(0.0, until - time.monotonic()))  # type: ignore[no-untyped-call]
            except KafkaError as error:
                failed.setdefault(seq, error)
        sent = dict.fromkeys(seq for seq, _ in futures)
        return [seq for seq in sent if seq not in failed], failed

    def _store_dead_letters(self, connection: Connection, refused: Sequence[tuple[PendingEvent, KafkaError]]) -> None:
        rows = []
        for event, error in refused:
            bad = BadEvent(f"the broker refuses it: {type(error).__name__}")
            vault, payload = self._store.vault, event.payload.encode()
            rows.append(dead_letter_of_journal(vault, event.seq, payload, bad, event.received_at))
            metrics.DEAD.inc()
            _log.critical("the broker refuses an event: dead letter", extra={"event": event.id, "seq": event.seq})
        dead_letters.store(connection, rows)

    def _measure_outbox(self) -> None:
        if time.monotonic() < self._count_at:
            return
        self._count_at = time.monotonic() + _COUNT_SECONDS
        with reading(self._store.engine) as connection:
            waiting = outbox.backlog(connection)
        metrics.OUTBOX.set(waiting.events)
        since = waiting.since
        metrics.OUTBOX_SECONDS.set(0 if since is None else max(0.0, (self._now() - since).total_seconds()))

    def _note_problem(self, problem: str) -> float:
        if self._problems.get(self._first_shard) != problem:
            _log.error("nothing is published: %s", problem)
        self._problems[self._first_shard] = problem
        return _RETRY_SECONDS

    def _close(self) -> None:
        producer, self._producer = self._producer, None
        if producer is not None:
            with suppress(KafkaError):
                producer.close(_CLOSE_SECONDS)
