"""What reports are made of, read from sums that are kept already: no question here ever scans the orders."""

from collections.abc import Iterable, Mapping
from datetime import UTC, date, datetime
from typing import Any, NamedTuple

import msgspec
from msgspec import Struct
from sqlalchemy import ColumnElement, Connection, Row, and_, func, select

from pipeline.domain.detection.alerting import is_unverified
from pipeline.domain.detection.baseline import NULL_MIN_PAIRS
from pipeline.domain.detection.segments import TOTAL
from pipeline.domain.reports.alerts import Alert
from pipeline.domain.reports.figures import row_json, row_of
from pipeline.store.evidence.evidence import WINDOW_DAYS
from pipeline.store.schema.tables import alerts as alerts_table
from pipeline.store.schema.tables import dead_letters as dead_letters_table
from pipeline.store.schema.tables import evidence, fleet_days, rollups
from pipeline.store.schema.tables import nulls as nulls_table


class NullState(Struct, frozen=True):
    """What counts as honest for a signal in its newest month; `delta` None: no null, so no evidence."""

    signal: str
    month: str | None
    delta: float | None
    rho: float | None
    pairs: int
    """The fleet's pairs of the 90 days up to the newest one."""

    @property
    def missing(self) -> int:
        """Pairs still to come before the next month can have a null; 0 where there is one."""
        return max(NULL_MIN_PAIRS - self.pairs, 0) if self.delta is None else 0


class DeadLetter(NamedTuple):
    """Something nobody could process: where it came from, what is wrong with it. Its content stays sealed."""

    received_at: datetime
    topic: str
    position: str
    field: str
    reason: str


class _Evidence(Struct, frozen=True, kw_only=True):
    """The JSON in `alerts.evidence`."""

    pairs_before: int
    since: date
    run_n: int
    run_rate: float
    null: float
    low: float
    high: float
    log10_e: float
    accounts: int
    breakdown_rho: float | None = None
    orders: tuple[str, ...] = ()


_decoder = msgspec.json.Decoder(_Evidence)


def total(connection: Connection, first_day: int | None = None, last_day: int | None = None) -> dict[str, int]:
    """The fleet's counters, summed over the days (ordinals, both included; None: open)."""
    return by_segment(connection, TOTAL[0], first_day, last_day).get(TOTAL[1], {})


def by_segment(
    connection: Connection, dimension: str, first_day: int | None = None, last_day: int | None = None
) -> dict[str, dict[str, int]]:
    """The counters of every segment of a level, summed over the days; what adds up to nothing is left out."""
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
    """The levels there are figures for, the fleet as a whole left aside."""
    query = select(rollups.c.dimension).where(rollups.c.dimension != TOTAL[0]).distinct()
    return sorted(connection.execute(query).scalars())


def alerts(connection: Connection, as_of: date) -> list[Alert]:
    """Every alert there was, oldest first, in the state it is in on that day."""
    last_days = _last_pair_days(connection)
    query = select(alerts_table).order_by(alerts_table.c.opened_at, alerts_table.c.alert_id)
    found = []
    for row in connection.execute(query):
        last_day = last_days.get((row.signal, row.dimension, row.value))
        found.append(_alert(row, silent=is_unverified(last_day, as_of.toordinal())))
    return found


def nulls(connection: Connection) -> list[NullState]:
    """The newest null of every signal that has a null or a pair, with what is still missing for one."""
    newest = select(nulls_table.c.signal, func.max(nulls_table.c.month).label("month")).group_by(nulls_table.c.signal)
    last = newest.subquery()
    frozen = select(nulls_table).join(
        last, and_(nulls_table.c.signal == last.c.signal, nulls_table.c.month == last.c.month)
    )
    by_signal = {row.signal: row for row in connection.execute(frozen)}
    pairs = _recent_pairs(connection)
    states = []
    for signal in sorted(by_signal.keys() | pairs.keys()):
        row = by_signal.get(signal)
        so_far = pairs.get(signal, 0)
        if row is None:
            states.append(NullState(signal, None, None, None, so_far))
        else:
            states.append(NullState(signal, row.month, row.delta, row.rho, so_far))
    return states


def dead_letters(connection: Connection) -> list[DeadLetter]:
    """Every dead letter, oldest first."""
    letters = dead_letters_table.c
    columns = [letters[name] for name in DeadLetter._fields]
    query = select(*columns).order_by(letters.received_at, letters.topic, letters.position)
    return [DeadLetter(*row) for row in connection.execute(query)]


def report_json(fleet: Mapping[str, int], segments: Mapping[str, Mapping[str, int]]) -> dict[str, Any]:
    """The `report` of the contract, from summed counters."""
    return {
        "total": row_json(row_of(fleet)),
        "segments": {value: row_json(row_of(counts)) for value, counts in segments.items()},
    }


def alerts_json(found: Iterable[Alert]) -> list[dict[str, Any]]:
    """The `alerts` of the contract, in the order given."""
    return [
        {
            "signal": alert.signal,
            "dimension": alert.dimension,
            "value": alert.value,
            "kind": alert.kind,
            "state": alert.state,
            "severity": alert.severity,
            "opened_at": alert.opened_at.astimezone(UTC).isoformat().replace("+00:00", "Z"),
            "pairs_before": alert.pairs_before,
            "since": alert.since.isoformat(),
            "run_n": alert.run_n,
            "run_rate": alert.run_rate,
            "null": alert.null,
            "log10_e": alert.log10_e,
        }
        for alert in found
    ]


def _within(first_day: int | None, last_day: int | None) -> list[ColumnElement[bool]]:
    bounds = []
    if first_day is not None:
        bounds.append(rollups.c.day >= first_day)
    if last_day is not None:
        bounds.append(rollups.c.day <= last_day)
    return bounds


def _last_pair_days(connection: Connection) -> dict[tuple[str, str, str], int]:
    """The newest day with a pair, per (signal, dimension, value) that ever had an alert."""
    segment = (evidence.c.signal, evidence.c.dimension, evidence.c.value)
    alerted = select(alerts_table.c.signal, alerts_table.c.dimension, alerts_table.c.value).distinct().subquery()
    query = (
        select(*segment, func.max(evidence.c.day))
        .join(
            alerted,
            and_(
                evidence.c.signal == alerted.c.signal,
                evidence.c.dimension == alerted.c.dimension,
                evidence.c.value == alerted.c.value,
            ),
        )
        .group_by(*segment)
    )
    return {(signal, dimension, value): day for signal, dimension, value, day in connection.execute(query)}


def _recent_pairs(connection: Connection) -> dict[str, int]:
    """Per signal, the fleet's pairs of the 90 days that end with its newest pair."""
    last = select(fleet_days.c.signal, func.max(fleet_days.c.day).label("day")).group_by(fleet_days.c.signal).subquery()
    query = (
        select(fleet_days.c.signal, func.sum(fleet_days.c.n))
        .join(last, fleet_days.c.signal == last.c.signal)
        .where(fleet_days.c.day > last.c.day - WINDOW_DAYS)
        .group_by(fleet_days.c.signal)
    )
    return {signal: int(n) for signal, n in connection.execute(query)}


def _alert(row: Row[Any], *, silent: bool) -> Alert:
    proof = _decoder.decode(row.evidence)
    state = "unverified" if row.state == "open" and silent else row.state
    return msgspec.convert(
        {
            "alert_id": row.alert_id,
            "signal": row.signal,
            "dimension": row.dimension,
            "value": row.value,
            "kind": row.kind,
            "state": state,
            "severity": row.severity,
            "opened_at": row.opened_at,
            "resolved_at": row.resolved_at,
            **msgspec.structs.asdict(proof),
        },
        Alert,
    )
