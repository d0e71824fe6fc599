"""Runs processors over batches of events: each batch is one transaction, and every failure has a name.

Bad input becomes a dead letter and the rest goes through. Trouble that passes is tried again, a limited number of
times. Anything else is a bug: it stops the runner, and nothing of the batch is kept.
"""

import logging
import time
from collections.abc import Sequence
from datetime import UTC, datetime

from sqlalchemy import Connection, Engine
from sqlalchemy.exc import DBAPIError, OperationalError
from tenacity import RetryCallState, Retrying, retry_if_exception, stop_after_attempt, wait_exponential

from pipeline import metrics
from pipeline.consumers.intake import Incoming, letter
from pipeline.consumers.routing import PROCESSORS, TIMERS
from pipeline.domain.events import BadEvent, Event, FeedbackReceived, FeedbackRequested, OrderCompleted, decode
from pipeline.store import journal
from pipeline.store.bulk import insert_new
from pipeline.store.journal import Stored
from pipeline.store.tables import dead_letters
from pipeline.store.unit_of_work import Setup, UnitOfWork
from pipeline.store.vault import Vault

POSITION, CLOCK = "runner.position", "runner.clock"
_EPOCH = datetime(1970, 1, 1, tzinfo=UTC)
_log = logging.getLogger(__name__)


class _Poisoned(Exception):
    """An event that its processor refuses: the batch is done again without it."""

    def __init__(self, stored: Stored, bad: BadEvent) -> None:
        super().__init__(str(bad))
        self.stored = stored
        self.bad = bad


class Runner:
    """Takes the journal's incoming events through their processors, from where the last committed batch ended."""

    def __init__(self, engine: Engine, vault: Vault, setup: Setup, batch: int) -> None:
        self._engine = engine
        self._vault = vault
        self._setup = setup
        self._batch = batch
        self._retrying = retrying()

    def drain(self) -> int:
        """Process everything the journal holds. Returns the number of events."""
        total = 0
        while done := self.run_batch():
            total += done
        return total

    def run_batch(self) -> int:
        """Process the next batch. Returns the number of events; 0: the journal is drained."""
        poison: dict[int, BadEvent] = {}
        while True:
            try:
                return int(self._retrying(self._attempt, poison))
            except _Poisoned as found:
                poison[found.stored.seq] = found.bad

    def tick(self, now: datetime) -> None:
        """Fire the timers due by `now`, with no event to carry the time."""
        self._retrying(self._tick, now)

    def _attempt(self, poison: dict[int, BadEvent]) -> int:
        started = time.perf_counter()
        with self._engine.begin() as connection:
            position = int(journal.get(connection, POSITION, lock=True) or 0)
            rows = journal.read(connection, position, self._batch)
            if not rows:
                return 0
            self._process(connection, rows, poison)
            journal.put(connection, POSITION, str(rows[-1].seq))
        metrics.POSITION.set(rows[-1].seq)
        metrics.BATCH_SECONDS.observe(time.perf_counter() - started)
        return len(rows)

    def _process(self, connection: Connection, rows: Sequence[Stored], poison: dict[int, BadEvent]) -> None:
        clock = clock_of(connection)
        events: list[tuple[Stored, Event]] = []
        for stored in rows:
            if stored.seq in poison:
                self._set_aside(connection, stored, poison[stored.seq])
                continue
            try:
                events.append((stored, decode(stored.payload.encode(), None, stored.received_at)))
            except BadEvent as bad:  # the contract was narrowed after it was stored
                raise _Poisoned(stored, bad) from None
        until = max([clock, *(event.received_at for _, event in events)])
        work = UnitOfWork(connection, self._setup, until)
        _load(work, [event for _, event in events])
        for stored, event in events:
            clock = _fire(work, clock, max(clock, event.received_at))
            try:
                _handle(event, work, clock)
            except BadEvent as bad:
                raise _Poisoned(stored, bad) from None
        work.flush()
        journal.put(connection, CLOCK, journal.as_text(clock))

    def _tick(self, now: datetime) -> None:
        with self._engine.begin() as connection:
            journal.get(connection, POSITION, lock=True)
            clock = clock_of(connection)
            now = max(now, clock)
            work = UnitOfWork(connection, self._setup, now)
            work.orders.load(work.timers.order_ids())
            _fire(work, clock, now)
            work.flush()
            journal.put(connection, CLOCK, journal.as_text(now))

    def _set_aside(self, connection: Connection, stored: Stored, bad: BadEvent) -> None:
        incoming = Incoming(stored.payload.encode(), None, f"journal:{stored.seq}")
        insert_new(connection, dead_letters, [letter(self._vault, incoming, bad, stored.received_at)])
        metrics.DEAD.inc()


def clock_of(connection: Connection) -> datetime:
    """How far the time of this installation has come, UTC: that of the newest event or tick it has processed."""
    text = journal.get(connection, CLOCK)
    return _EPOCH if text is None else datetime.fromisoformat(text)


def retrying() -> Retrying:
    """Try again what failed by trouble that passes, for about ten seconds."""
    return Retrying(
        retry=retry_if_exception(passes),
        stop=stop_after_attempt(7),
        wait=wait_exponential(multiplier=0.1, max=5),  # seconds
        before_sleep=_note_retry,
        reraise=True,
    )


def passes(error: BaseException) -> bool:
    """Whether trouble is likely to pass by itself: a lock, a lost connection, a full disk being cleared."""
    return isinstance(error, OperationalError) or (
        isinstance(error, DBAPIError) and error.connection_invalidated
    )


def _load(work: UnitOfWork, events: Sequence[Event]) -> None:
    """Read what the batch needs in a few queries."""
    work.orders.load({*work.timers.order_ids(), *(event.data.order_id for event in events)})
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


def _handle(event: Event, work: UnitOfWork, now: datetime) -> None:
    processor = PROCESSORS.get(event.type)
    if processor is not None:
        processor(event, work, now)
        work.orders.count()
        metrics.PROCESSED.labels(event.type).inc()
        _handle_emitted(work, now)


def _handle_emitted(work: UnitOfWork, now: datetime) -> None:
    """Our own events are handled at once, so that what follows from an event depends on no batch's size."""
    while (emitted := work.next_emitted()) is not None:
        _handle(emitted, work, now)


def _fire(work: UnitOfWork, clock: datetime, now: datetime) -> datetime:
    """Fire what became due between two instants, each at its own time. Returns `now`."""
    for timer in work.timers.due(now):
        clock = max(clock, timer.due_at)
        TIMERS[timer.kind](timer, work, clock)
        work.orders.count()
        metrics.TIMERS.labels(timer.kind).inc()
        _handle_emitted(work, clock)
    return now


def _note_retry(state: RetryCallState) -> None:
    metrics.RETRIES.inc()
    error = state.outcome.exception() if state.outcome else None
    _log.warning("batch failed (%s), attempt %d is next", type(error).__name__, state.attempt_number + 1)
