"""The figures of reports, read from sums that are kept up to date: no query here scans the orders."""

from sqlalchemy import ColumnElement, Connection, func, select

from pipeline.domain.detection.segments import TOTAL
from pipeline.store.schema.orders import rollups


def total(connection: Connection, first_day: int | None = None, last_day: int | None = None) -> dict[str, int]:
    """The fleet's counters, summed over the days (ordinals, both included; None: open)."""
    return by_segment(connection, TOTAL[0], first_day, last_day).get(TOTAL[1], {})


def by_segment(
    connection: Connection, dimension: str, first_day: int | None = None, last_day: int | None = None
) -> dict[str, dict[str, int]]:
    """The counters of every segment of a level, summed over the days (as in `total`), without those that sum to 0."""
    query = (
        select(rollups.c.value, rollups.c.counter, func.sum(rollups.c.n))
        .where(rollups.c.dimension == dimension, *_within(first_day, last_day))
        .group_by(rollups.c.value, rollups.c.counter)
        .order_by(rollups.c.value, rollups.c.counter)
    )
    found: dict[str, dict[str, int]] = {}
    for value, counter, n in connection.execute(query):
        if n:
            found.setdefault(value, {})[counter] = int(n)  # PostgreSQL sums big integers to decimals
    return found


def dimensions(connection: Connection) -> list[str]:
    """The levels that have figures, without the fleet as a whole."""
    query = select(rollups.c.dimension).where(rollups.c.dimension != TOTAL[0]).distinct()
    return sorted(connection.execute(query).scalars())


def segment_names(connection: Connection, dimension: str) -> list[str]:
    """The segments of a level. Jumps from value to value along the index, however many days each has."""
    first = select(func.min(rollups.c.value).label("value")).where(rollups.c.dimension == dimension)
    names = first.cte("names", recursive=True)
    following = select(func.min(rollups.c.value)).where(
        rollups.c.dimension == dimension, rollups.c.value > names.c.value
    )
    names = names.union_all(select(following.scalar_subquery()).where(names.c.value.is_not(None)))
    return list(connection.execute(select(names.c.value).where(names.c.value.is_not(None))).scalars())


def _within(first_day: int | None, last_day: int | None) -> list[ColumnElement[bool]]:
    bounds = []
    if first_day is not None:
        bounds.append(rollups.c.day >= first_day)
    if last_day is not None:
        bounds.append(rollups.c.day <= last_day)
    return bounds
