"""Runs the same processors where several workers share the work: each batch is one transaction on one database.

Nobody is the only one. So a transaction first marks what it takes, then locks the orders it speaks of, and reads only
after that; whoever comes second for the same event finds it taken, for the same order waits. What follows from an event
is not handled here and now: it is written to the journal, travels, and comes back to whoever has its part.
"""

import time
from collections import Counter
from collections.abc import Callable, Mapping, Sequence
from datetime import UTC, datetime
from typing import NamedTuple

from sqlalchemy import Connection, Engine

from pipeline import metrics
from pipeline.consumers import evidence, intake, timers
from pipeline.consumers.intake import Checked, Incoming, letter
from pipeline.consumers.routing import PROCESSORS, TIMERS
from pipeline.consumers.runtime.embedded import CLOCK, recall, retrying
from pipeline.domain.detection.segments import Segment, segments_of
from pipeline.domain.events.contract import (
    CONCLUSIONS,
    BadEvent,
    DeliveryUpdated,
    Event,
    FeedbackReceived,
    FeedbackRequested,
    FulfilmentCompared,
    OrderCompleted,
)
from pipeline.domain.events.decoding import decode
from pipeline.store.db import locks
from pipeline.store.db.bulk import Row
from pipeline.store.evidence.evidence import series_of
from pipeline.store.journal import handled, journal
from pipeline.store.orders.timers import TimerStore, claim, read_due
from pipeline.store.people.people import remember
from pipeline.store.people.vault import Vault
from pipeline.store.unit_of_work import Setup, UnitOfWork

FLEET = "fleet"  # the part of a pair that all segments share
_NEVER = datetime.min.replace(tzinfo=UTC)


class Relayed(NamedTuple):
    """An event of the journal that was published and has come back, to be handled."""

    seq: int  # its place there
    part: str  # "": by its order; of a pair FLEET, or a segment as "dimension=value"
    payload: bytes
    received_at: datetime

    @property
    def key(self) -> tuple[int, str]:
        """What is handled once."""
        return (self.seq, self.part)


Record = Incoming | Relayed
_Events = Mapping[int, Event]  # by the number of their record in the batch


class Dead(NamedTuple):
    """A record that nobody can process. It is among the dead letters already."""

    record: Record
    bad: BadEvent


class Done(NamedTuple):
    """What became of a batch, all of it committed."""

    new: int
    duplicates: int
    dead: Sequence[Dead]
    seconds: float


class _Poisoned(Exception):
    """A record whose event its processor refuses: the batch is done again without it."""

    def __init__(self, number: int, bad: BadEvent) -> None:
        super().__init__(str(bad))
        self.number = number
        self.bad = bad


class _Batch:
    """Records and what was found in them: `events`, `checked` those of them from outside, and `bad` what is none."""

    def __init__(self, vault: Vault, records: Sequence[Record]) -> None:
        self.records = records
        self.checked: dict[int, Checked] = {}
        self.events: dict[int, Event] = {}
        self.bad: dict[int, BadEvent] = {}  # what their processors refuse, too, once that is known
        for number, record in enumerate(records):
            try:
                if isinstance(record, Relayed):
                    self.events[number] = decode(record.payload, None, record.received_at)
                else:
                    self.checked[number] = intake.check(vault, record)
                    self.events[number] = self.checked[number].event
            except BadEvent as bad:
                self.bad[number] = bad

    def take(self, connection: Connection) -> set[int]:
        """Store and mark. Returns the numbers of those that nobody took before; what nobody can read is always new."""
        places = journal.append(connection, [one.entry for one in self.checked.values()], publish=False)
        new = {number for number, place in zip(self.checked, places, strict=True) if place is not None}
        relayed = {n: record.key for n, record in enumerate(self.records) if isinstance(record, Relayed)}
        fresh = handled.mark(connection, relayed.values())
        for number, key in relayed.items():
            if key in fresh:  # the second of a batch is not
                fresh.remove(key)
                new.add(number)
        return new | (set(range(len(self.records))) - self.checked.keys() - relayed.keys())


_Stage = Callable[[Connection, _Batch, _Events], None]


class ClusterRunner:
    """Takes batches of records through their processors. Any number of these may run on one database.

    Its methods raise trouble that did not pass after several tries, and bugs; then nothing of the batch is kept.
    """

    def __init__(self, engine: Engine, vault: Vault, setup: Setup) -> None:
        self._engine = engine
        self._vault = vault
        self._setup = setup
        self._retrying = retrying()

    def take(self, batch: Sequence[Record], now: datetime) -> Done:
        """The order stage: events from outside, as received at their `received_at`, and those that came back.

        `now` dates the dead letters.
        """
        return self._do(self._take, batch, now)

    def observe(self, batch: Sequence[Relayed], now: datetime) -> Done:
        """The evidence stage: parts of pairs that came back. `now` dates the dead letters."""
        return self._do(self._observe, batch, now)

    def tick(self, now: datetime, limit: int) -> int:
        """Fire up to so many timers that are due by `now`, each at its own time. Returns how many it were."""
        return self._retrying(self._tick, now, limit)

    def _do(self, stage: _Stage, records: Sequence[Record], now: datetime) -> Done:
        batch = _Batch(self._vault, records)
        while True:
            try:
                return self._retrying(self._transaction, stage, batch, now)
            except _Poisoned as found:
                batch.bad[found.number] = found.bad

    def _transaction(self, stage: _Stage, batch: _Batch, now: datetime) -> Done:
        started = time.perf_counter()
        with self._engine.begin() as connection:
            new = batch.take(connection)
            events = {n: event for n, event in batch.events.items() if n in new and n not in batch.bad}
            if events:
                stage(connection, batch, events)
            dead = [Dead(batch.records[n], batch.bad[n]) for n in sorted(batch.bad.keys() & new)]
            intake.keep(connection, [self._letter(one, now) for one in dead])
        done = Done(len(events), len(batch.records) - len(new), dead, time.perf_counter() - started)
        _tell(done, events)
        return done

    def _take(self, connection: Connection, batch: _Batch, events: _Events) -> None:
        received = [event.received_at for event in events.values()]
        order_ids = {event.data.order_id for event in events.values()}
        locks.hold(connection, "order", order_ids)
        work = self._work(connection)
        work.orders.load(order_ids)
        of_asks = (FeedbackReceived, FeedbackRequested)
        work.load_asks({event.data.order_id for event in events.values() if isinstance(event.data, of_asks)})
        asking = {event.data.order_id for event in events.values() if _may_ask(event, work)}
        recall(work, asking, [event for event in events.values() if event.data.order_id in asking], min(received))
        for number, event in events.items():
            work.timers.earliest = event.received_at
            _process(number, event, work)
        remember(connection, [row for n in events if n in batch.checked for row in batch.checked[n].people])
        work.flush()
        journal.advance(connection, CLOCK, max(received))

    def _observe(self, connection: Connection, batch: _Batch, events: _Events) -> None:
        parts = {
            n: record.part for n, record in enumerate(batch.records) if n in events and isinstance(record, Relayed)
        }
        locks.hold(connection, "segment", set(parts.values()))
        work = self._work(connection)
        segments = {n: self._segment(n, part, events[n]) for n, part in parts.items() if part != FLEET}
        pairs: dict[int, FulfilmentCompared] = {number: events[number].data for number in events}
        work.evidence.load_states(
            {series_of(segments[n], signal) for n in segments for signal in pairs[n].observations}
        )
        days = [seen.day for n in segments for seen in pairs[n].observations.values()]
        if days:
            work.evidence.load(sorted({pairs[n].account_id for n in segments}), min(days), max(days))
        for number, event in events.items():
            if number in segments:
                evidence.count_segment(segments[number], event.data, work, event.received_at)
            else:
                evidence.count_fleet(event.data, work, event.received_at)
        work.flush()

    def _segment(self, number: int, part: str, event: Event) -> Segment:
        for segment in segments_of(event.data.dimensions, self._setup.levels):
            if part_of(segment) == part:
                return segment
        raise _Poisoned(number, BadEvent(f"this pair has no part {part!r}"))

    def _tick(self, now: datetime, limit: int) -> int:
        with self._engine.begin() as connection:
            due = read_due(connection, now, limit)  # without a lock: another worker may be firing them just now
            locks.hold(connection, "order", {timer.order_id for timer in due})
            fired = claim(connection, due, now)
            if fired:
                work = self._work(connection)
                order_ids = {timer.order_id for timer in fired}
                work.orders.load(order_ids)
                work.load_asks(order_ids)
                recall(work, {t.order_id for t in fired if t.kind == timers.MISSING_SCAN}, (), fired[0].due_at)
                for timer in fired:
                    work.timers.earliest = timer.due_at
                    TIMERS[timer.kind](timer, work, timer.due_at)
                work.flush()
                journal.advance(connection, CLOCK, fired[-1].due_at)
        for kind, n in Counter(timer.kind for timer in fired).items():
            metrics.TIMERS.labels(kind).inc(n)
        return len(fired)

    def _work(self, connection: Connection) -> UnitOfWork:
        return UnitOfWork(connection, self._setup, TimerStore(connection, (), _NEVER))  # `tick` alone fires timers

    def _letter(self, dead: Dead, now: datetime) -> Row:
        record = dead.record
        if isinstance(record, Relayed):
            at_home = Incoming(record.payload, None, f"journal:{record.seq}")
            return letter(self._vault, at_home, dead.bad, record.received_at)
        return letter(self._vault, record, dead.bad, now)


def part_of(segment: Segment) -> str:
    """The name of a segment's part of a pair."""
    return f"{segment.dimension}={segment.value}"


def _may_ask(event: Event, work: UnitOfWork) -> bool:
    """Whether it may be decided now whom to ask. A guess, so that what that needs is read at once: it may be wrong."""
    facts, dialogue = work.orders.peek(event.data.order_id).facts, work.orders.peek(event.data.order_id).dialogue
    if dialogue.decided("delivery") or (facts.known and facts.historic):
        return False
    if isinstance(event.data, OrderCompleted):
        return not event.historic and bool(facts.scans)
    return isinstance(event.data, DeliveryUpdated) and event.data.status == "delivered"


def _process(number: int, event: Event, work: UnitOfWork) -> None:
    if event.type in CONCLUSIONS or event.type not in PROCESSORS:
        return
    try:
        PROCESSORS[event.type](event, work, event.received_at)
    except BadEvent as bad:
        raise _Poisoned(number, bad) from None


def _tell(done: Done, events: _Events) -> None:
    """Take what became of a batch into the metrics, once it is committed."""
    metrics.BATCH_SECONDS.observe(done.seconds)
    for outcome, n in (("new", done.new), ("duplicates", done.duplicates), ("dead", len(done.dead))):
        metrics.INTAKE.labels(outcome).inc(n)
    for kind, n in Counter(event.type for event in events.values()).items():
        metrics.PROCESSED.labels(kind).inc(n)
