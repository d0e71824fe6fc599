"""Runs processors over batches of events: each batch is one transaction, and every failure has a name.

Bad input becomes a dead letter and the rest goes through. Trouble that passes is tried again, a limited number of
times. Anything else is a bug: it stops the runner, and nothing of the batch is kept.
"""

import logging
import time
from collections import Counter
from collections.abc import Collection, Sequence
from datetime import UTC, datetime
from itertools import islice

from sqlalchemy import Connection, Engine
from sqlalchemy.exc import DBAPIError, OperationalError
from sqlalchemy.exc import TimeoutError as NoConnection
from tenacity import RetryCallState, Retrying, retry_if_exception, stop_after_attempt, wait_exponential

from pipeline import metrics
from pipeline.consumers import intake
from pipeline.consumers.intake import Incoming, Outcome, Taken, letter
from pipeline.consumers.routing import PROCESSORS, TIMERS
from pipeline.domain.events.contract import (
    BadEvent,
    Event,
    FeedbackReceived,
    FeedbackRequested,
    OrderCompleted,
)
from pipeline.domain.events.decoding import decode
from pipeline.domain.orders.facts import Revision
from pipeline.store.db.bulk import insert_new
from pipeline.store.journal import journal
from pipeline.store.journal.journal import Stored
from pipeline.store.orders.timers import TimerStore, read_due
from pipeline.store.people.vault import Vault
from pipeline.store.schema.tables import dead_letters
from pipeline.store.unit_of_work import Setup, UnitOfWork

POSITION, CLOCK = "runner.position", "runner.clock"
_EPOCH = datetime(1970, 1, 1, tzinfo=UTC)
_log = logging.getLogger(__name__)


class _Poisoned(Exception):
    """An event that its processor refuses: the batch is done again without it."""

    def __init__(self, place: int, bad: BadEvent) -> None:
        super().__init__(str(bad))
        self.place = place
        self.bad = bad


class _Batch:
    """The events of one transaction, one after the other, and the clock that they carry along."""

    def __init__(self, work: UnitOfWork, clock: datetime) -> None:
        self._work = work
        self._clock = clock
        self._handled: Counter[str] = Counter()
        self._fired: Counter[str] = Counter()

    def take(self, event: Event) -> None:
        """Handle an event, and before it whatever became due by the time it was received."""
        self.advance(event.received_at)
        self._handle(event)

    def advance(self, now: datetime) -> None:
        """Let time pass, firing what becomes due, each at its own time."""
        for timer in self._work.timers.due(now):
            self._clock = max(self._clock, timer.due_at)
            TIMERS[timer.kind](timer, self._work, self._clock)
            self._fired[timer.kind] += 1
            self._follow()
        self._clock = max(self._clock, now)

    def flush(self) -> None:
        """Write everything, the clock too."""
        self._work.flush()
        journal.put(self._work.connection, CLOCK, journal.as_text(self._clock))

    def tell(self, started: float) -> None:
        """Take what was done since `started` into the metrics, once it is committed."""
        metrics.BATCH_SECONDS.observe(time.perf_counter() - started)
        for kind, n in self._handled.items():
            metrics.PROCESSED.labels(kind).inc(n)
        for kind, n in self._fired.items():
            metrics.TIMERS.labels(kind).inc(n)

    def _handle(self, event: Event) -> None:
        processor = PROCESSORS.get(event.type)
        if processor is not None:
            processor(event, self._work, self._clock)
            self._handled[event.type] += 1
        self._follow()

    def _follow(self) -> None:
        """Our own events are handled at once, so that what follows from an event depends on no batch's size."""
        while (emitted := self._work.next_emitted()) is not None:
            self._handle(emitted)


class Runner:
    """Takes the journal's incoming events through their processors, from where the last committed batch ended."""

    def __init__(self, engine: Engine, vault: Vault, setup: Setup, batch: int) -> None:
        self._engine = engine
        self._vault = vault
        self._setup = setup
        self._batch = batch
        self._retrying = retrying()

    def absorb(self, batch: Sequence[Incoming]) -> Taken:
        """Store a batch and process it, both in one transaction. Returns what became of it at the door."""
        return self.absorb_all([batch])[0]

    def absorb_all(self, batches: Sequence[Sequence[Incoming]]) -> list[Taken]:
        """The same for the batches of several callers, all in one transaction. Returns what became of each."""
        together = [incoming for batch in batches for incoming in batch]
        try:
            outcomes = self._retrying(self._absorb, together)
        except _Poisoned:
            outcomes = self._retrying(self._store, together)
            self.drain()
        each = iter(outcomes)
        return [intake.tally(islice(each, len(batch))) for batch in batches]

    def drain(self) -> int:
        """Process everything the journal holds. Returns the number of events."""
        total = 0
        while True:
            done = self.run_batch()
            total += done
            if done < self._batch:
                return total

    def run_batch(self) -> int:
        """Process the next batch of the journal. Returns the number of events; 0: it is drained."""
        poison: dict[int, BadEvent] = {}
        while True:
            try:
                return self._retrying(self._attempt, poison)
            except _Poisoned as found:
                poison[found.place] = found.bad

    def tick(self, now: datetime) -> None:
        """Fire the timers due by `now`, with no event to carry the time."""
        self._retrying(self._tick, now)

    def _store(self, batch: Sequence[Incoming]) -> list[Outcome]:
        with self._engine.begin() as connection:
            outcomes, _ = intake.take(connection, self._vault, batch, datetime.now(UTC))
        intake.count(outcomes)
        return outcomes

    def _absorb(self, batch: Sequence[Incoming]) -> list[Outcome]:
        started = time.perf_counter()
        with self._engine.begin() as connection:
            position = _position(connection)
            behind = journal.pending(connection, position)
            outcomes, events = intake.take(connection, self._vault, batch, datetime.now(UTC))
            done = self._process(connection, [] if behind else events)
        intake.count(outcomes)
        done.tell(started)
        if behind:  # what an earlier process stored comes first
            self.drain()
        return outcomes

    def _attempt(self, poison: dict[int, BadEvent]) -> int:
        started = time.perf_counter()
        with self._engine.begin() as connection:
            rows = journal.read(connection, _position(connection), self._batch)
            events = []
            for stored in rows:
                bad = poison.get(stored.seq)
                if bad is not None:
                    self._set_aside(connection, stored, bad)
                    continue
                try:
                    events.append((stored.seq, decode(stored.payload.encode(), None, stored.received_at)))
                except BadEvent as narrowed:  # the contract was, after it was stored
                    raise _Poisoned(stored.seq, narrowed) from None
            done = self._process(connection, events)
            if rows:
                journal.put(connection, POSITION, str(rows[-1].seq))
        done.tell(started)
        return len(rows)

    def _process(self, connection: Connection, events: Sequence[tuple[int, Event]]) -> "_Batch":
        """Take events through their processors and move the position behind the last of them."""
        clock = clock_of(connection)
        until = max([clock, *(event.received_at for _, event in events)])
        work = UnitOfWork(connection, self._setup, TimerStore(connection, read_due(connection, until), until))
        _load(work, [event for _, event in events], clock)
        batch = _Batch(work, clock)
        for place, event in events:
            try:
                batch.take(event)
            except BadEvent as bad:
                raise _Poisoned(place, bad) from None
        if events:
            batch.flush()
            journal.put(connection, POSITION, str(events[-1][0]))
        return batch

    def _tick(self, now: datetime) -> None:
        started = time.perf_counter()
        with self._engine.begin() as connection:
            _position(connection)  # one runner at a time
            work = UnitOfWork(connection, self._setup, TimerStore(connection, read_due(connection, now), now))
            work.orders.load(work.timers.order_ids())
            batch = _Batch(work, clock_of(connection))
            batch.advance(now)
            batch.flush()
        batch.tell(started)

    def _set_aside(self, connection: Connection, stored: Stored, bad: BadEvent) -> None:
        incoming = Incoming(stored.payload.encode(), None, f"journal:{stored.seq}")
        insert_new(connection, dead_letters, [letter(self._vault, incoming, bad, stored.received_at)])
        metrics.DEAD.inc()


def _position(connection: Connection) -> int:
    """The place of the last event processed. Whoever reads it is the only runner until the transaction ends."""
    return int(journal.get(connection, POSITION, lock=True) or 0)


def clock_of(connection: Connection) -> datetime:
    """How far the time of this installation has come, UTC: that of the newest event or tick it has processed."""
    text = journal.get(connection, CLOCK)
    return _EPOCH if text is None else datetime.fromisoformat(text)


def retrying() -> Retrying:
    """Try again what failed by trouble that passes, six times within about seven seconds."""
    return Retrying(
        retry=retry_if_exception(passes),
        stop=stop_after_attempt(7),
        wait=wait_exponential(multiplier=0.1, max=5),  # seconds
        before_sleep=_note_retry,
        reraise=True,
    )


def passes(error: BaseException) -> bool:
    """Whether trouble is likely to pass by itself: a lock, a lost connection, none free, a full disk being cleared."""
    return isinstance(error, OperationalError | NoConnection) or (
        isinstance(error, DBAPIError) and error.connection_invalidated
    )


def _load(work: UnitOfWork, events: Sequence[Event], clock: datetime) -> None:
    """Read what the batch needs in a few queries."""
    order_ids = {*work.timers.order_ids(), *(event.data.order_id for event in events)}
    work.orders.load(order_ids)
    recall(work, order_ids, events, clock)
    answers = [e for e in events if isinstance(e.data, FeedbackReceived | FeedbackRequested)]
    if not answers:
        return
    days = {event.received_at.toordinal() for event in answers}
    new = {event.data.order_id: event.data.account.id for event in events if isinstance(event.data, OrderCompleted)}
    accounts = set()
    for event in answers:
        order = work.orders.peek(event.data.order_id)
        if order.facts.known:
            accounts.add(order.facts.latest.account.id)
            days.update(placed.day for placed in order.dialogue.placed.values())
        elif event.data.order_id in new:
            accounts.add(new[event.data.order_id])
    work.evidence.load(sorted(accounts), min(days), max(days))


def recall(work: UnitOfWork, order_ids: Collection[str], events: Sequence[Event], clock: datetime) -> None:
    """Read what is known of everybody who may be asked about these orders."""
    known = [work.orders.peek(order_id).facts for order_id in order_ids]
    told: list[OrderCompleted | Revision] = [facts.latest for facts in known if facts.known and not facts.historic]
    told += [event.data for event in events if isinstance(event.data, OrderCompleted) and not event.historic]
    people = [contact for data in told for contact in data.contacts]
    addresses = {address for person in people for address in (person.phone, person.email) if address is not None}
    work.recall({data.account.id for data in told}, addresses, clock)


def _note_retry(state: RetryCallState) -> None:
    metrics.RETRIES.inc()
    error = state.outcome.exception() if state.outcome else None
    _log.warning("batch failed (%s), attempt %d is next", type(error).__name__, state.attempt_number + 1)
