"""The figures of reports, read from sums that are kept up to date: no query here scans the orders."""

from collections import Counter

from sqlalchemy import ColumnElement, Connection, func, select

from pipeline.domain.access.principal import Principal
from pipeline.domain.detection.segments import TOTAL
from pipeline.store.db.bulk import among
from pipeline.store.schema.orders import rollups


def total(
    connection: Connection, principal: Principal, first_day: int | None = None, last_day: int | None = None
) -> dict[str, int]:
    """The counters of all orders that the principal sees, summed over the days (ordinals, both included; None: open).

    For a scope that is the sum of its entries, if they are segments of one level; entries of several overlap, and
    there is no sum.
    """
    if principal.scope.is_everything:
        return by_segment(connection, principal, TOTAL[0], first_day, last_day).get(TOTAL[1], {})
    level = principal.scope.parts
    sums: Counter[str] = Counter()
    for counts in by_segment(connection, principal, level, first_day, last_day).values() if level else ():
        sums.update(counts)
    return dict(sorted(sums.items()))


def by_segment(
    connection: Connection,
    principal: Principal,
    dimension: str,
    first_day: int | None = None,
    last_day: int | None = None,
) -> dict[str, dict[str, int]]:
    """The counters of every segment of a level that the principal sees, summed over the days (as in `total`), without
    those that sum to 0.
    """
    query = (
        select(rollups.c.value, rollups.c.counter, func.sum(rollups.c.n))
        .where(*_segments(connection, principal, dimension), *_within(first_day, last_day))
        .group_by(rollups.c.value, rollups.c.counter)
        .order_by(rollups.c.value, rollups.c.counter)
    )
    found: dict[str, dict[str, int]] = {}
    for value, counter, n in connection.execute(query):
        if n:
            found.setdefault(value, {})[counter] = int(n)  # PostgreSQL sums big integers to decimals
    return found


def dimensions(connection: Connection, principal: Principal) -> list[str]:
    """The levels that have figures that the principal sees, without the fleet as a whole."""
    query = select(rollups.c.dimension).where(rollups.c.dimension != TOTAL[0]).distinct()
    found = sorted(connection.execute(query).scalars())
    return [name for name in found if principal.scope.is_everything or segment_names(connection, principal, name)]


def segment_names(connection: Connection, principal: Principal, dimension: str) -> list[str]:
    """The segments of a level that the principal sees."""
    names = _all_names(connection, dimension)
    return [name for name in names if principal.scope.sees_segment(dimension, name)]


def _segments(connection: Connection, principal: Principal, dimension: str) -> list[ColumnElement[bool]]:
    """The condition that a row belongs to a segment of the level that the principal sees."""
    level = rollups.c.dimension == dimension
    if principal.scope.is_everything:
        return [level]
    return [level, among(connection, rollups.c.value, segment_names(connection, principal, dimension))]


def _all_names(connection: Connection, dimension: str) -> list[str]:
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
