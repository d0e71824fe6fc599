"""Adds and removes levels while the product runs.

Every step is a transaction of its own that nobody who counts by the levels overlaps, and events are processed between
two steps. A change that was interrupted goes on where it was. From its beginning on, orders that change are counted
under the new levels; at its end, in one transaction, its evidence is complete and every later pair counts in it.
Thresholds follow from the next day on, so nothing that was judged is judged again.
"""

from collections.abc import Callable
from datetime import UTC, datetime, time

from sqlalchemy import Connection

from pipeline.consumers import evidence
from pipeline.domain.detection.levels import ALWAYS, LevelHistory
from pipeline.domain.detection.segments import Level, segments_of
from pipeline.domain.events.contract import EVIDENCE
from pipeline.domain.events.decoding import decode_stored
from pipeline.domain.setup import Setup
from pipeline.errors import UserError
from pipeline.store.db.engine import reading
from pipeline.store.evidence import level_changes
from pipeline.store.evidence.level_changes import Progress
from pipeline.store.journal import handled, journal, outbox
from pipeline.store.journal.state import EPOCH, clock_of
from pipeline.store.orders.timers import TimerStore
from pipeline.store.store import Store
from pipeline.store.unit_of_work import UnitOfWork

ORDERS_AT_ONCE = 500
PAIRS_AT_ONCE = 1_000
_NEVER = datetime.min.replace(tzinfo=UTC)

ShowProgress = Callable[[int, int], None]  # steps done, all steps


class LevelError(UserError):
    """A change of the levels that is not possible. The message is a sentence for the user."""


def add(store: Store, setup: Setup, level: Level, now: datetime, show: ShowProgress) -> int | None:
    """Add a level, or give a watched one another capacity. Returns the UTC day from which thresholds follow from it.

    First completes a change that was interrupted. None: nothing had to change. `now` dates the change.
    """
    day = complete(store, setup, show)
    with store.engine.begin() as connection:
        history = _held(connection, setup)
        watched = {known.name: known.capacity for known in history.watched}
        if watched.get(level.name) == level.capacity:
            return day
        if level.name in watched:
            return _set_capacity(connection, store, setup, level, now)
        work = _work(connection, store, setup)
        work.evidence.delete_level(level.name)  # of the time before it was removed
        level_changes.begin(connection, level.name, level.capacity, now)
    return complete(store, setup, show)


def remove(store: Store, setup: Setup, name: str, now: datetime, show: ShowProgress) -> int | None:
    """Remove a level. Returns the UTC day from which the others have its share of the budget.

    Its evidence no longer grows, its figures are deleted, its alerts stay. First completes a change that was
    interrupted. None: it was removed before. Raises LevelError if it never was a level, or is the last one.
    """
    day = complete(store, setup, show)
    with store.engine.begin() as connection:
        history = _held(connection, setup)
        names = [level.name for level in history.watched]
        if name not in names and any(level.name == name for level in history.known):
            return day
        if name not in names:
            raise LevelError(f"no level {name!r} is watched; the levels are: {', '.join(names)}")
        if len(names) == 1:
            raise LevelError(f"{name!r} is the only level, and one is needed: add another one first")
        level_changes.begin(connection, name, None, now)
    return complete(store, setup, show)


def complete(store: Store, setup: Setup, show: ShowProgress) -> int | None:
    """Complete the change in progress. Returns the day from which thresholds follow from it; None: there is none."""
    with reading(store.engine) as connection:
        started = level_changes.in_progress(connection)
        total = 0 if started is None else level_changes.total_steps(connection, started.capacity is not None)
    day = None
    if started is not None:
        show(started.steps, total)
        while day is None:
            done, day = _step(store, setup)
            show(min(done, total), total)
    return day


def _step(store: Store, setup: Setup) -> tuple[int, int | None]:
    """One step of the change in progress. Returns the steps done, and once it is complete its first day."""
    with store.engine.begin() as connection:
        work = _work(connection, store, setup)
        progress, day = level_changes.in_progress(connection), None
        if progress is None:  # another process has completed it
            return 0, work.setup.level_changes[-1].day
        if not progress.orders_done:
            progress = _count_orders(progress, work)
        elif progress.capacity is None:
            day = _begin_day(work)
        else:
            level, before = Level(progress.level, progress.capacity), progress.steps
            progress = _fold_pairs(progress, level, work)
            if progress.steps - before < PAIRS_AT_ONCE:
                _mark_unpublished(level, connection)
                day = _begin_day(work)
        work.flush()
        level_changes.advance(connection, progress, day)
    return progress.steps, day


def _count_orders(progress: Progress, work: UnitOfWork) -> Progress:
    """Count the next orders in the segments of the levels as they are now."""
    order_ids = level_changes.orders_after(work.connection, progress.last_order, ORDERS_AT_ONCE)
    work.orders.recount(order_ids)
    return progress._replace(
        last_order=order_ids[-1] if order_ids else progress.last_order,
        orders_done=len(order_ids) < ORDERS_AT_ONCE,
        steps=progress.steps + len(order_ids),
    )


def _fold_pairs(progress: Progress, level: Level, work: UnitOfWork) -> Progress:
    """Count the next pairs of the journal in the evidence of the new level. Nothing is published: it is judged later.

    Our own events are in the journal in the order in which they happened, and those that follow come behind them.
    """
    stored = journal.read_types(work.connection, EVIDENCE, progress.last_seq, PAIRS_AT_ONCE)
    events = [(one.seq, decode_stored(one.payload.encode(), one.received_at)) for one in stored]
    days = [seen.day for _, event in events for seen in event.data.observations.values()]
    if days:
        work.evidence.load(sorted({event.data.account_id for _, event in events}), min(days), max(days))
    for _, event in events:
        for segment in segments_of(event.data.dimensions, [level]):
            for _ in evidence.fold_pair(segment, event.data, work, event.received_at):
                pass
    return progress._replace(
        last_seq=events[-1][0] if events else progress.last_seq, steps=progress.steps + len(events)
    )


def _mark_unpublished(level: Level, connection: Connection) -> None:
    """The relay will publish waiting pairs for the new level, too, and they are counted in it already."""
    keys = [
        (event.seq, segment.key)
        for event in outbox.pending_of_types(connection, EVIDENCE)
        for segment in segments_of(decode_stored(event.payload.encode()).data.dimensions, [level])
    ]
    handled.mark(connection, keys)


def _begin_day(work: UnitOfWork) -> int:
    """The first day of a change: the one after the newest event. Its timer judges what has to be judged then.

    Before any event it is as if the first start had made the change.
    """
    clock = clock_of(work.connection)
    if clock == EPOCH:
        return ALWAYS
    day = clock.toordinal() + 1
    midnight = datetime.combine(datetime.fromordinal(day), time.min, UTC)
    work.timers.set(evidence.LEVEL_DAY, "", str(day), midnight)
    return day


def _set_capacity(connection: Connection, store: Store, setup: Setup, level: Level, now: datetime) -> int:
    work = _work(connection, store, setup)
    day = _begin_day(work)
    level_changes.begin(connection, level.name, level.capacity, now, day)
    work.flush()
    return day


def _held(connection: Connection, setup: Setup) -> LevelHistory:
    return setup.with_changes(level_changes.hold_alone(connection)).history


def _work(connection: Connection, store: Store, setup: Setup) -> UnitOfWork:
    held = setup.with_changes(level_changes.hold_alone(connection))
    return UnitOfWork(connection, store.journal, held, TimerStore(connection, (), _NEVER))
