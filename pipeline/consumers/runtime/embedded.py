"""What happens when an event arrives in embedded mode: it is stored and processed, both in one transaction.

`up`, replay and the demo all enter here. To follow one event, read `store_batches`, then `consumers/intake.py` (check,
seal, store), `consumers/routing.py` (which processor) and the processor, `consumers/orders.py` for a completed order.

Bad input becomes a dead letter and the rest of the batch goes through. A transient failure is retried a limited number
of times. Anything else is a bug: it stops the runner, and nothing of the batch is stored.
"""

import time
from collections import Counter
from collections.abc import Iterable, Iterator, Sequence
from datetime import UTC, datetime
from functools import partial
from itertools import islice

from sqlalchemy import Connection, Engine

from pipeline import metrics
from pipeline.consumers import intake
from pipeline.consumers.intake import Incoming, IngestOutcome, IngestResult
from pipeline.consumers.routing import PROCESSORS, TIMERS
from pipeline.consumers.runtime.batch import (
    BATCH_BYTES,
    PoisonMessage,
    load_ask_history,
    numbers_of,
    orders_of,
    record_metrics,
    store_unclaimed,
    without_poison,
)
from pipeline.consumers.runtime.retries import retrying
from pipeline.consumers.silence import sources
from pipeline.domain.events.contract import BadEvent, Event, FeedbackReceived, FeedbackRequested, OrderCompleted
from pipeline.domain.events.decoding import decode_stored
from pipeline.domain.setup import Setup
from pipeline.store.db.engine import shrink_log
from pipeline.store.evidence import level_changes
from pipeline.store.journal import dead_letters, journal, state
from pipeline.store.journal.journal import Stored
from pipeline.store.journal.state import POSITION, clock_of
from pipeline.store.orders.timers import TimerStore, read_due
from pipeline.store.orders.tracking import TRACKED_EVENT
from pipeline.store.store import Store
from pipeline.store.unit_of_work import UnitOfWork


class EmbeddedRunner:
    """Stores events and processes them in the order of the journal, from where the last committed batch ended."""

    def __init__(self, store: Store, setup: Setup, batch_size: int) -> None:
        self.store = store
        self.setup = setup
        self._batch_size = batch_size  # events a transaction
        self._retrying = retrying()

    @property
    def engine(self) -> Engine:
        """The database."""
        return self.store.engine

    def ingest_all(self, events: Iterable[Incoming]) -> Iterator[IngestResult]:
        """Store and process any number of events, batch by batch. Yields each batch's result once it is committed."""
        rest = iter(events)
        while batch := list(islice(rest, self._batch_size)):
            yield self.ingest(batch)

    def ingest(self, batch: Sequence[Incoming]) -> IngestResult:
        """Store and process one batch in one transaction."""
        return self.store_batches([batch])[0]

    def store_batches(self, batches: Sequence[Sequence[Incoming]]) -> list[IngestResult]:
        """Store and process the batches of several callers in one transaction. Returns the result of each.

        If a processor refuses one of the events, all are stored first and then processed without that one.
        """
        events = [incoming for batch in batches for incoming in batch]
        try:
            outcomes = self._retrying(self._store_and_process, events)
        except PoisonMessage:
            outcomes = self._retrying(intake.ingest_unprocessed, self.store, events)
            self.process_pending()
        return intake.tally_each(batches, outcomes)

    def process_pending(self) -> int:
        """Process everything in the journal that is not processed yet. Returns the number of events."""
        total = 0
        while True:
            poison: dict[int, BadEvent] = {}
            done = without_poison(partial(self._retrying, self._process_stored, poison), poison)
            total += done
            if not done:
                return total

    def tick(self, now: datetime) -> None:
        """Fire the timers due by `now`, for when no event arrives."""
        self._retrying(self._tick, now)
        shrink_log(self.store.engine)

    def _store_and_process(self, batch: Sequence[Incoming]) -> list[IngestOutcome]:
        started = time.perf_counter()
        with self.store.engine.begin() as connection:
            earlier = journal.pending(connection, _position(connection))
            outcomes, events = intake.ingest(connection, self.store, batch, datetime.now(UTC))
            done = self._process(connection, [] if earlier else events)
        intake.record_metrics(intake.tally(outcomes))
        done.record_metrics(started)
        if earlier:  # what an earlier process stored comes first
            self.process_pending()
        return outcomes

    def _process_stored(self, poison: dict[int, BadEvent]) -> int:
        started = time.perf_counter()
        with self.store.engine.begin() as connection:
            rows = _of_bytes(journal.read(connection, _position(connection), self._batch_size), BATCH_BYTES)
            self._store_dead_letters(connection, [row for row in rows if row.seq in poison], poison)
            events = [(row.seq, _decode(row)) for row in rows if row.seq not in poison]
            done = self._process(connection, events)
            if rows:
                state.put(connection, POSITION, str(rows[-1].seq))
        done.record_metrics(started)
        return len(rows)

    def _process(self, connection: Connection, events: Sequence[tuple[int, Event]]) -> "_EventSequence":
        """Process events and move the position behind the last of them."""
        clock = clock_of(connection)
        work = self._work(connection, max([clock, *(event.received_at for _, event in events)]))
        _load(work, [event for _, event in events], clock)
        sequence = _EventSequence(work, clock)
        for seq, event in events:
            try:
                sequence.process(event)
            except BadEvent as bad:
                raise PoisonMessage(seq, bad) from None
        if events:
            sequence.flush()
            store_unclaimed(connection, self.store.vault, work)
            state.put(connection, POSITION, str(events[-1][0]))
        return sequence

    def _tick(self, now: datetime) -> None:
        started = time.perf_counter()
        with self.store.engine.begin() as connection:
            _position(connection)  # one runner at a time
            work = self._work(connection, now)
            work.orders.load(work.timers.order_ids())
            sequence = _EventSequence(work, clock_of(connection))
            sources.note_running(connection, now)
            sequence.advance(now)
            sequence.flush()
            store_unclaimed(connection, self.store.vault, work)
        sequence.record_metrics(started)

    def _work(self, connection: Connection, until: datetime) -> UnitOfWork:
        timers = TimerStore(connection, read_due(connection, until), until)
        self.setup = self.setup.with_changes(level_changes.hold(connection))
        return UnitOfWork(connection, self.store.journal, self.setup, timers)

    def _store_dead_letters(self, connection: Connection, rows: Sequence[Stored], poison: dict[int, BadEvent]) -> None:
        vault = self.store.vault
        dead_letters.store(
            connection,
            [
                intake.dead_letter_of_journal(vault, row.seq, row.payload.encode(), poison[row.seq], row.received_at)
                for row in rows
            ],
        )
        metrics.DEAD.inc(len(rows))


class _EventSequence:
    """Processes events one by one, and the timers due in between. Keeps the clock that the events move on."""

    def __init__(self, work: UnitOfWork, clock: datetime) -> None:
        self._work = work
        self._clock = clock
        self._processed: Counter[str] = Counter()  # by event type
        self._fired: Counter[str] = Counter()  # by kind of timer

    def process(self, event: Event) -> None:
        """Process an event, after the timers that were due when it was received, and then those that it made due."""
        self.advance(event.received_at)
        sources.note(event, self._work)
        self._process(event)
        self.advance(self._clock)  # not with the next event: that may have been received earlier

    def advance(self, now: datetime) -> None:
        """Move the clock to `now`. Each timer due by then fires at its own time."""
        for timer in self._work.timers.due(now):
            self._clock = max(self._clock, timer.due_at)
            TIMERS[timer.kind](timer, self._work, self._clock)
            self._fired[timer.kind] += 1
            self._process_emitted()
        self._clock = max(self._clock, now)

    def flush(self, position: int | None = None) -> None:
        """Write all changes, the clock, and the position if there is one. The caller commits."""
        self._work.flush()
        state.put_progress(self._work.connection, self._clock, position)

    def record_metrics(self, started: float) -> None:
        """Count the batch in the metrics, once it is committed. `started`: its begin, by `time.perf_counter`."""
        record_metrics(time.perf_counter() - started, self._processed, self._fired)

    def _process(self, event: Event) -> None:
        processor = PROCESSORS.get(event.type)
        if processor is not None:
            processor(event, self._work, self._clock)
            self._processed[event.type] += 1
        self._process_emitted()

    def _process_emitted(self) -> None:
        """Process our own events at once, so that the result does not depend on the size of a batch."""
        while (emitted := self._work.next_emitted()) is not None:
            self._process(emitted)


def _position(connection: Connection) -> int:
    """The sequence number of the last event processed. Locked until commit, so there is one runner at a time."""
    return int(state.get(connection, POSITION, lock=True) or 0)


def _of_bytes(rows: Sequence[Stored], most: int) -> Sequence[Stored]:
    """As many of the first rows as have at most so many characters together; one at least."""
    total = 0
    for n, row in enumerate(rows):
        total += len(row.payload)
        if n and total > most:
            return rows[:n]
    return rows


def _decode(row: Stored) -> Event:
    try:
        return decode_stored(row.payload.encode(), row.received_at)._replace(place=row.seq)
    except BadEvent as bad:  # the contract was narrowed after it was stored
        raise PoisonMessage(row.seq, bad) from None


def _load(work: UnitOfWork, events: Sequence[Event], clock: datetime) -> None:
    """Load what the events and the due timers need, in a few queries."""
    work.tracking.load(numbers_of(events) | work.timers.subjects(TRACKED_EVENT))
    order_ids = work.timers.order_ids().union(*(orders_of(event, work) for event in events))
    work.orders.load(order_ids)
    load_ask_history(work, order_ids, events, clock)
    feedback = [e for e in events if isinstance(e.data, FeedbackReceived | FeedbackRequested)]
    if not feedback:
        return
    days = {event.received_at.toordinal() for event in feedback}
    new = {event.data.order_id: event.data.account.id for event in events if isinstance(event.data, OrderCompleted)}
    accounts = set()
    for event in feedback:
        order = work.orders.peek(event.data.order_id)
        if order.facts.known:
            accounts.add(order.facts.latest.account.id)
            days.update(pair.day for pair in order.dialogue.pairs.values())
        elif event.data.order_id in new:
            accounts.add(new[event.data.order_id])
    work.evidence.load(sorted(accounts), min(days), max(days))
