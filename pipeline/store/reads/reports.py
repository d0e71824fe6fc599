"""The figures of reports, read from sums that are kept up to date: no query here scans the orders.

A period is read as whole months, weeks at its edges and the days that are left (`domain.reports.periods.spans`).
"""

from collections import Counter
from collections.abc import Collection, Sequence
from typing import Any

from sqlalchemy import CTE, ColumnElement, Connection, Select, func, select, union_all

from pipeline.domain.access.principal import Principal
from pipeline.domain.detection.segments import TOTAL
from pipeline.domain.reports.counts import Counts
from pipeline.domain.reports.periods.spans import ALWAYS, Part, Span, parts
from pipeline.store.db.bulk import among
from pipeline.store.schema.orders import rollup_sums, rollups

_EVER = (rollup_sums.c.span == "all", rollup_sums.c.first_day == ALWAYS)


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
    *,
    value: str | None = None,
    counters: Collection[str] | None = None,
) -> dict[str, dict[str, int]]:
    """The counters of every segment of a level that the principal sees, summed over the days (as in `total`), without
    those that sum to 0. `value`: of that segment only. `counters`: only these.
    """
    seen = None if principal.scope.is_everything else segment_names(connection, principal, dimension)
    if value is not None:
        seen = [value] if _sees(principal, dimension, value) else []
    names = _names(dimension)
    of = None if counters is None else sorted(counters)
    summed = [_part(connection, dimension, part, seen, names, of) for part in parts(first_day, last_day)]
    if not summed:
        return {}
    rows = union_all(*summed).subquery()
    query = (
        select(rows.c.value, rows.c.counter, func.sum(rows.c.n))
        .group_by(rows.c.value, rows.c.counter)
        .order_by(rows.c.value, rows.c.counter)
    )
    found: dict[str, dict[str, int]] = {}
    for value, counter, n in connection.execute(query).all():  # fetched at once: thousands of short rows
        if n:
            found.setdefault(value, {})[counter] = int(n)  # PostgreSQL sums big integers to decimals
    return found


def series(
    connection: Connection,
    principal: Principal,
    dimension: str,
    values: Collection[str],
    span: Span,
    first_days: Sequence[int],
    counters: Collection[str],
) -> dict[str, dict[int, Counts]]:
    """These counters of those of the segments that the principal sees, by the first day of each span (ordinals). Spans
    and segments without any of the counters are left out.
    """
    seen = sorted(value for value in values if _sees(principal, dimension, value))
    sums = rollup_sums.c
    query = select(sums.value, sums.first_day, sums.counter, sums.n).where(
        sums.dimension == dimension,
        sums.span == span,
        among(connection, sums.first_day, first_days),
        among(connection, sums.value, seen),
        among(connection, sums.counter, sorted(counters)),
    )
    found: dict[str, dict[int, dict[str, int]]] = {}
    for value, day, counter, n in connection.execute(query):
        found.setdefault(value, {}).setdefault(day, {})[counter] = n
    return {value: dict(sorted(days.items())) for value, days in found.items()}


def total_series(
    connection: Connection, principal: Principal, span: Span, first_days: Sequence[int], counters: Collection[str]
) -> dict[int, Counts]:
    """These counters of all orders that the principal sees, by the first day of each span; summed as in `total`."""
    level, values = TOTAL[0], [TOTAL[1]]
    if not principal.scope.is_everything:
        level = principal.scope.parts or ""
        values = segment_names(connection, principal, level) if level else []
    found = series(connection, principal, level, values, span, first_days, counters) if values else {}
    sums: dict[int, Counter[str]] = {}
    for days in found.values():
        for day, counts in days.items():
            sums.setdefault(day, Counter()).update(counts)
    return {day: dict(counts) for day, counts in sums.items()}


def dimensions(connection: Connection, principal: Principal) -> list[str]:
    """The levels that have figures that the principal sees, without the fleet as a whole."""
    query = select(rollup_sums.c.dimension).where(rollup_sums.c.dimension != TOTAL[0], *_EVER).distinct()
    found = sorted(connection.execute(query).scalars())
    return [name for name in found if principal.scope.is_everything or segment_names(connection, principal, name)]


def segment_names(connection: Connection, principal: Principal, dimension: str) -> list[str]:
    """The segments of a level that the principal sees."""
    names = connection.execute(_names(dimension)).scalars()
    return [name for name in names if _sees(principal, dimension, name)]


def _sees(principal: Principal, dimension: str, value: str) -> bool:
    return principal.scope.is_everything or principal.scope.sees_segment(dimension, value)


def _part(
    connection: Connection,
    dimension: str,
    part: Part,
    seen: list[str] | None,
    names: Select[str],
    counters: list[str] | None,
) -> Select[Any]:
    """The rows of a part of a period. `seen`: the segments that the principal sees; None: all of `names`. `counters`:
    only these.
    """
    if part.unit == "day":
        days = rollups.c
        # By segment, then by day: the key of the table leads to the days of each segment.
        mine = days.value.in_(names) if seen is None else among(connection, days.value, seen)
        here = [days.dimension == dimension, mine, *_between(days.day, part), *_named(days.counter, counters)]
        return select(days.value, days.counter, days.n).where(*here)
    sums = rollup_sums.c
    here = [sums.dimension == dimension, sums.span == part.unit, *_between(sums.first_day, part)]
    here += _named(sums.counter, counters)
    if seen is not None:
        here.append(among(connection, sums.value, seen))
    return select(sums.value, sums.counter, sums.n).where(*here)


def _named(counter: ColumnElement[str], counters: list[str] | None) -> list[ColumnElement[bool]]:
    return [] if counters is None else [counter.in_(counters)]


def _between(day: ColumnElement[int], part: Part) -> list[ColumnElement[bool]]:
    if part.first == part.last:
        return [day == part.first]
    found = [] if part.first is None else [day >= part.first]
    return found if part.last is None else [*found, day <= part.last]


def _names(dimension: str) -> Select[str]:
    """The segments of a level, sorted. Jumps from value to value along the key, however many counters each has."""
    sums = rollup_sums.c
    here = (sums.dimension == dimension, *_EVER)
    names: CTE = select(func.min(sums.value).label("value")).where(*here).cte("names", recursive=True)
    following = select(func.min(sums.value)).where(*here, sums.value > names.c.value)
    names = names.union_all(select(following.scalar_subquery()).where(names.c.value.is_not(None)))
    return select(names.c.value).where(names.c.value.is_not(None))
