"""The changes of the levels, as the database keeps them, and how far the one in progress is.

A transaction that counts by the levels holds them (`hold`), so that a change never begins or ends in its middle.
"""

from collections.abc import Sequence
from datetime import datetime
from typing import NamedTuple

from sqlalchemy import Connection, func, select

from pipeline.domain.detection.levels import LevelChange
from pipeline.domain.events.contract import EVIDENCE
from pipeline.store.db import locks
from pipeline.store.db.bulk import insert
from pipeline.store.schema.evidence import level_changes
from pipeline.store.schema.journal import journal
from pipeline.store.schema.orders import orders

_ALL = select(level_changes.c.level, level_changes.c.capacity, level_changes.c.day).order_by(level_changes.c.number)


class Progress(NamedTuple):
    """How far a change is: the last order counted, whether all are, the last place folded, and the steps done."""

    number: int
    level: str
    capacity: int | None
    last_order: str
    orders_done: bool
    last_seq: int
    steps: int


def read(connection: Connection) -> tuple[LevelChange, ...]:
    """All changes, oldest first."""
    return tuple(LevelChange(*row) for row in connection.execute(_ALL))


def hold(connection: Connection) -> tuple[LevelChange, ...]:
    """All changes, oldest first. None is made until the transaction ends. Call it first in a transaction."""
    locks.lock_levels(connection)
    return read(connection)


def hold_alone(connection: Connection) -> tuple[LevelChange, ...]:
    """As `hold`, to change them: no other transaction counts by the levels until this one ends."""
    locks.lock_levels(connection, alone=True)
    return read(connection)


def in_progress(connection: Connection) -> Progress | None:
    """The change in progress; there is at most one."""
    columns = (level_changes.c[name] for name in Progress._fields)
    row = connection.execute(select(*columns).where(level_changes.c.day.is_(None))).one_or_none()
    return None if row is None else Progress(*row)


def begin(connection: Connection, level: str, capacity: int | None, now: datetime, day: int | None = None) -> None:
    """Store a change. `day`: it is complete, and thresholds follow from it from that day on."""
    last = connection.execute(select(func.max(level_changes.c.number))).scalar() or 0
    row = {
        "number": last + 1,
        "level": level,
        "capacity": capacity,
        "started_at": now,
        "day": day,
        "last_order": "",
        "orders_done": day is not None,
        "last_seq": 0,
        "steps": 0,
    }
    insert(connection, level_changes, [row])


def advance(connection: Connection, progress: Progress, day: int | None = None) -> None:
    """Store how far a change is; with `day` it is complete."""
    changed = level_changes.update().where(level_changes.c.number == progress.number)
    connection.execute(changed.values(**progress._asdict(), day=day))


def orders_after(connection: Connection, order_id: str, limit: int) -> Sequence[str]:
    """The ids of the next orders, sorted as the database sorts them."""
    query = select(orders.c.order_id).where(orders.c.order_id > order_id).order_by(orders.c.order_id).limit(limit)
    return connection.execute(query).scalars().all()


def total_steps(connection: Connection, folds: bool) -> int:
    """How many orders and, if a change folds them, pairs of the journal there are."""
    total: int = connection.execute(select(func.count()).select_from(orders)).scalar_one()
    if folds:
        compared = select(func.count()).select_from(journal).where(journal.c.type.in_(EVIDENCE))
        total += connection.execute(compared).scalar_one()
    return total
