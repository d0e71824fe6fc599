"""Deletes what nobody needs any more by its age: dead letters, and the marks of events that workers have handled."""

from collections.abc import Callable
from datetime import datetime, timedelta

from sqlalchemy import Connection, delete, func, select, tuple_

from pipeline.domain.events.contract import OWN_SOURCE
from pipeline.store.journal.state import EPOCH
from pipeline.store.schema.journal import dead_letters, handled, journal, outbox

_AHEAD = timedelta(days=1)
_FROM_OUTSIDE = journal.c.source != OWN_SOURCE


def trusted_time(connection: Connection, now: datetime) -> datetime:
    """`now`, but not far ahead of the newest event: a clock that jumps ahead must not make everything old."""
    query = select(journal.c.received_at).where(_FROM_OUTSIDE).order_by(journal.c.seq.desc()).limit(1)
    newest: datetime = connection.execute(query).scalar() or EPOCH
    return min(now, newest + _AHEAD)


def delete_dead_letters(connection: Connection, before: datetime, limit: int) -> int:
    """Delete at most `limit` dead letters that were received before that time. Returns the number."""
    columns = dead_letters.c
    old = select(columns.digest).where(columns.received_at < before).order_by(columns.digest).limit(limit)
    return connection.execute(delete(dead_letters).where(columns.digest.in_(old))).rowcount


def delete_handled(connection: Connection, before: datetime, limit: int) -> int:
    """Delete at most `limit` marks of events that were received before that time. Returns the number.

    Events that are not published yet, and all after them, keep theirs.
    """
    first = first_since(connection, before)
    waiting = connection.execute(select(func.min(outbox.c.seq))).scalar()
    end = first if waiting is None else min(first, waiting)
    key = tuple_(handled.c.seq, handled.c.part)
    old = select(handled.c.seq, handled.c.part).where(handled.c.seq < end).order_by(handled.c.seq).limit(limit)
    return connection.execute(delete(handled).where(key.in_(old))).rowcount


def first_since(connection: Connection, moment: datetime) -> int:
    """The first place of the journal whose event was received at `moment` or later, found by halving: there is no index
    of the times, and the places of events from outside are in the order of receipt. (Our own have the time of a timer.)
    """
    low, high = connection.execute(select(func.min(journal.c.seq), func.max(journal.c.seq))).one()
    if low is None:
        return 0
    return _halve(low, high + 1, lambda place: _received_at(connection, place, moment) >= moment)


def _halve(low: int, high: int, is_late: Callable[[int], bool]) -> int:
    while low < high:
        middle = (low + high) // 2
        low, high = (low, middle) if is_late(middle) else (middle + 1, high)
    return low


def _received_at(connection: Connection, place: int, default: datetime) -> datetime:
    """When the first event from outside was received, from that place on; `default` if there is none."""
    query = select(journal.c.received_at).where(journal.c.seq >= place, _FROM_OUTSIDE).order_by(journal.c.seq).limit(1)
    received_at: datetime | None = connection.execute(query).scalar()
    return default if received_at is None else received_at
