"""Runs the same processors where several workers share the work: each batch is one transaction on one database.

Workers run side by side. So a transaction first marks its events as processed, then locks their orders, and reads only
after that: a second worker finds the same event marked, and waits for the lock of the same order. What follows from an
event is not processed here: it is written to the journal, relayed, and processed by the worker that has its partition.
"""

import time
from collections import Counter
from collections.abc import Callable, Mapping, Sequence
from datetime import UTC, datetime
from functools import partial
from typing import NamedTuple

from sqlalchemy import Connection

from pipeline.consumers import evidence, intake, missing_scans
from pipeline.consumers.cluster.relayed_event import FLEET, RelayedEvent, part_of
from pipeline.consumers.intake import Checked, Incoming, IngestResult, Sealed
from pipeline.consumers.routing import PROCESSORS, TIMERS
from pipeline.consumers.runtime.batch import (
    PoisonMessage,
    count_timers,
    load_ask_history,
    numbers_of,
    orders_of,
    record_metrics,
    store_unclaimed,
    without_poison,
)
from pipeline.consumers.runtime.retries import retrying
from pipeline.consumers.silence import sources
from pipeline.domain.asking.eligibility import may_reconsider
from pipeline.domain.detection.segments import ROUTE_LEVEL, Segment, Series, segments_counted
from pipeline.domain.events.contract import (
    CONCLUSIONS,
    BadEvent,
    DeliveryUpdated,
    Event,
    FeedbackReceived,
    FeedbackRequested,
    OrderCompleted,
)
from pipeline.domain.events.decoding import decode_stored
from pipeline.domain.setup import Setup
from pipeline.store.db import locks
from pipeline.store.db.bulk import Row
from pipeline.store.evidence import level_changes
from pipeline.store.journal import dead_letters, handled, outbox, state
from pipeline.store.journal.state import CLOCK
from pipeline.store.orders.timers import TimerStore, claim, read_due
from pipeline.store.orders.tracking import TRACKED_EVENT
from pipeline.store.store import Store
from pipeline.store.unit_of_work import UnitOfWork

_NEVER = datetime.min.replace(tzinfo=UTC)

Record = Incoming | RelayedEvent
_Events = Mapping[int, Event]  # by the number of their record in the batch


class PoisonRecord(NamedTuple):
    """A record that cannot be processed. It is stored as a dead letter already."""

    record: Record
    bad: BadEvent


class BatchResult(NamedTuple):
    """The result of a committed batch."""

    new: int
    duplicates: int
    dead: Sequence[PoisonRecord]


class _CheckedBatch:
    """The records of a batch, decoded: `events` of all, `checked` of those from outside, `bad` for the rest."""

    def __init__(self, store: Store, records: Sequence[Record]) -> None:
        self._store = store
        self.records = records
        self.checked: dict[int, Checked] = {}
        self.sealed: dict[int, Sealed] = {}  # what is `checked`, in this attempt's transaction
        self.events: dict[int, Event] = {}
        self.bad: dict[int, BadEvent] = {}  # poison messages and conflicting duplicates too, once they are found
        self.conflicts: set[int] = set()  # whose id was used before for something else
        for number, record in enumerate(records):
            try:
                if isinstance(record, RelayedEvent):
                    event = decode_stored(record.payload, record.received_at)
                    self.events[number] = event._replace(place=record.seq)
                else:
                    self.checked[number] = intake.check(store, record)
                    self.events[number] = self.checked[number].event
            except BadEvent as bad:
                self.bad[number] = bad

    def store_and_mark(self, connection: Connection) -> set[int]:
        """Store what comes from outside, mark what was relayed. Returns the numbers of those not processed yet.

        What cannot be decoded, or conflicts, always counts as new: its dead letter is stored once.
        """
        sealed = intake.seal(connection, self._store, list(self.checked.values()))
        self.sealed = dict(zip(self.checked, sealed, strict=True))
        seqs = self._store.journal.append(connection, [one.entry for one in sealed], publish=False)
        new = {number for number, seq in zip(self.checked, seqs, strict=True) if seq != "duplicate"}
        for number, seq in zip(self.checked, seqs, strict=True):
            if isinstance(seq, int):
                self.events[number] = self.sealed[number].event._replace(place=seq)
        self.conflicts = {n for n, seq in zip(self.checked, seqs, strict=True) if seq == "conflict"}
        self.bad.update(dict.fromkeys(self.conflicts, intake.CONFLICT))
        relayed = {n: record.key for n, record in enumerate(self.records) if isinstance(record, RelayedEvent)}
        stored = [(seq, "") for seq in seqs if isinstance(seq, int)]  # see `topic_watch`
        unmarked = handled.mark(connection, [*relayed.values(), *stored])
        for number, key in relayed.items():
            if key in unmarked:  # only the first one in this batch
                unmarked.remove(key)
                new.add(number)
        return new | (set(range(len(self.records))) - self.checked.keys() - relayed.keys())


_Stage = Callable[[Connection, _CheckedBatch, _Events], None]


class ClusterRunner:
    """Processes batches of records. Any number of these may run on one database.

    Its methods raise a transient failure that outlasts all retries, and bugs. Then nothing of the batch is stored.
    """

    def __init__(self, store: Store, setup: Setup) -> None:
        self._store = store
        self._setup = setup
        self._retrying = retrying()

    def process_events(self, batch: Sequence[Record], now: datetime) -> BatchResult:
        """The order stage: events from outside, received at their `received_at`, and relayed ones.

        `now` dates the dead letters.
        """
        return self._run(self._process_events, batch, now)

    def process_evidence(self, batch: Sequence[RelayedEvent], now: datetime) -> BatchResult:
        """The evidence stage: relayed parts of pairs. `now` dates the dead letters."""
        return self._run(self._process_evidence, batch, now)

    def tick(self, now: datetime, limit: int) -> int:
        """Fire up to `limit` timers that are due by `now`, each at its own time. Returns the number fired."""
        return self._retrying(self._tick, now, limit)

    def _run(self, stage: _Stage, records: Sequence[Record], now: datetime) -> BatchResult:
        batch = _CheckedBatch(self._store, records)
        return without_poison(partial(self._retrying, self._transaction, stage, batch, now), batch.bad)

    def _transaction(self, stage: _Stage, batch: _CheckedBatch, now: datetime) -> BatchResult:
        started = time.perf_counter()
        with self._store.engine.begin() as connection:
            self._hold_levels(connection)
            new = batch.store_and_mark(connection)
            events = {n: event for n, event in batch.events.items() if n in new and n not in batch.bad}
            if events:
                stage(connection, batch, events)
            dead = [PoisonRecord(batch.records[n], batch.bad[n]) for n in sorted(batch.bad.keys() & new)]
            dead_letters.store(connection, [self._dead_letter(one, now) for one in dead])
        result = BatchResult(len(events), len(batch.records) - len(new), dead)
        invalid = len(dead) - len(batch.conflicts)
        intake.record_metrics(IngestResult(result.new, result.duplicates, invalid, tuple(batch.conflicts)))
        record_metrics(time.perf_counter() - started, Counter(event.type for event in events.values()), {})
        return result

    def _process_events(self, connection: Connection, batch: _CheckedBatch, events: _Events) -> None:
        received = [event.received_at for event in events.values()]
        work = self._work(connection)
        numbers = numbers_of(events.values())
        locks.lock(connection, "tracking", numbers)
        work.tracking.load(numbers)
        concerned = {n: orders_of(event, work) for n, event in events.items()}
        order_ids = set[str]().union(*concerned.values())
        locks.lock(connection, "order", order_ids)
        work.orders.load(order_ids)
        of_asks = (FeedbackReceived, FeedbackRequested)
        work.asks.load({event.data.order_id for event in events.values() if isinstance(event.data, of_asks)})
        asking = {
            order_id for n, event in events.items() for order_id in concerned[n] if _may_ask(event, order_id, work)
        }
        load_ask_history(work, asking, [e for e in events.values() if e.data.order_id in asking], min(received))
        for number, event in events.items():
            work.timers.earliest = event.received_at
            sources.note(event, work)
            _process(number, event, work)
        stored = [(events[n].place, one) for n, one in batch.sealed.items() if n in events]
        intake.save_personal_data(connection, stored)
        work.flush()
        self._store_unclaimed(connection, work)
        state.advance(connection, CLOCK, max(received))

    def _process_evidence(self, connection: Connection, batch: _CheckedBatch, events: _Events) -> None:
        parts = {n: record.part for n, record in _relayed(batch).items() if n in events}
        locks.lock(connection, "segment", set(parts.values()))
        work = self._work(connection)
        named = {n: self._segment(n, part, events[n]) for n, part in parts.items() if part != FLEET}
        watched = {ROUTE_LEVEL.name, *(level.name for level in self._setup.levels)}
        segments = {n: segment for n, segment in named.items() if segment.dimension in watched}
        pairs: dict[int, evidence.Counted] = {number: events[number].data for number in events}
        work.evidence.load_states({Series(*segments[n], signal) for n in segments for signal in pairs[n].observations})
        days = [seen.day for n in segments for seen in pairs[n].observations.values()]
        if days:
            work.evidence.load(sorted({pairs[n].account_id for n in segments}), min(days), max(days))
        for number, event in events.items():
            if number in segments:
                evidence.count_segment(segments[number], event.data, work, event.received_at)
            elif parts[number] == FLEET:
                evidence.count_fleet(event.data, work, event.received_at)
        work.flush()

    def _segment(self, number: int, part: str, event: Event) -> Segment:
        """The segment of a part, also if its level was removed after the part was published."""
        for segment in segments_counted(event.data.dimensions, self._setup.history.known):
            if part_of(segment) == part:
                return segment
        raise PoisonMessage(number, BadEvent("this pair has no such part"))

    def _tick(self, now: datetime, limit: int) -> int:
        with self._store.engine.begin() as connection:
            self._hold_levels(connection)
            due = read_due(connection, now, limit)  # without a lock: another worker may be firing them just now
            locks.lock(connection, "tracking", {timer.subject for timer in due if timer.kind == TRACKED_EVENT})
            locks.lock(connection, "order", {timer.order_id for timer in due if timer.order_id})
            fired = claim(connection, due, now)
            if fired:
                work = self._work(connection)
                order_ids = {timer.order_id for timer in fired if timer.order_id}
                work.orders.load(order_ids)
                work.asks.load(order_ids)
                missing = {timer.order_id for timer in fired if timer.kind == missing_scans.MISSING_SCAN}
                load_ask_history(work, missing, (), fired[0].due_at)
                for timer in fired:
                    work.timers.earliest = timer.due_at
                    TIMERS[timer.kind](timer, work, timer.due_at)
                work.flush()
                self._store_unclaimed(connection, work)
            sources.note_running(connection, now)  # behind all other locks but the clock's, as in a batch
            if fired:
                state.advance(connection, CLOCK, fired[-1].due_at)
        count_timers(Counter(timer.kind for timer in fired))
        return len(fired)

    def _store_unclaimed(self, connection: Connection, work: UnitOfWork) -> None:
        outbox.add_dead_letters(connection, store_unclaimed(connection, self._store.vault, work))

    def _hold_levels(self, connection: Connection) -> None:
        self._setup = self._setup.with_changes(level_changes.hold(connection))

    def _work(self, connection: Connection) -> UnitOfWork:
        no_timers = TimerStore(connection, (), _NEVER)  # `tick` alone fires them
        return UnitOfWork(connection, self._store.journal, self._setup, no_timers)

    def _dead_letter(self, dead: PoisonRecord, now: datetime) -> Row:
        record, bad, vault = dead.record, dead.bad, self._store.vault
        if isinstance(record, RelayedEvent):
            return intake.dead_letter_of_journal(vault, record.seq, record.payload, bad, record.received_at)
        return intake.dead_letter(vault, record, bad, now)


def _relayed(batch: _CheckedBatch) -> dict[int, RelayedEvent]:
    return {n: record for n, record in enumerate(batch.records) if isinstance(record, RelayedEvent)}


def _may_ask(event: Event, order_id: str, work: UnitOfWork) -> bool:
    """Whether this event may lead to a decision whom to ask. An estimate for loading ahead: it may be wrong."""
    order = work.orders.peek(order_id)
    if order.dialogue.decided_at:
        return any(
            may_reconsider(order, purpose, work.setup.policy, event.received_at)
            for purpose in order.dialogue.decided_at
        )
    if order.dialogue.decided("delivery") or (order.facts.known and order.facts.historic):
        return False
    if isinstance(event.data, OrderCompleted):
        return not event.historic and bool(order.facts.scans)
    return isinstance(event.data, DeliveryUpdated) and event.data.status == "delivered"


def _process(number: int, event: Event, work: UnitOfWork) -> None:
    if event.type in CONCLUSIONS or event.type not in PROCESSORS:
        return
    try:
        PROCESSORS[event.type](event, work, event.received_at)
    except BadEvent as bad:
        raise PoisonMessage(number, bad) from None
