"""The evidence of every segment: its counted pairs, its state after some days, and the baselines.

Each segment has one writer at a time, which follows the order of receipt. A state is a pure fold of the pairs up to its
day. When an earlier pair changes, the fold starts again from the newest state kept before its day. The result
is that of a replay from the first pair. Of old days few states are kept (`domain.detection.checkpoints`).
"""

from collections.abc import Collection, Sequence
from datetime import date, datetime
from functools import partial
from typing import NamedTuple

import msgspec
from sqlalchemy import ColumnElement, Connection, Table, and_, bindparam, delete, func, select

from pipeline.domain.detection import alerting, checkpoints
from pipeline.domain.detection.intervals import rate_interval
from pipeline.domain.detection.levels import Threshold
from pipeline.domain.detection.pairs import MOVED, ON_TIME
from pipeline.domain.detection.segments import Segment, Series
from pipeline.store.db import locks
from pipeline.store.db.bulk import among, among_rows, insert, insert_new, remove, upsert
from pipeline.store.schema.evidence import evidence, fleet_days, nulls, pairs, segment_days

_SERIES_AT_ONCE = 1_000  # read in one query
WINDOW_DAYS = 90  # before the start of a month: its baseline is estimated from the pairs of these days

_encode = msgspec.json.Encoder().encode
_state = msgspec.json.Decoder(alerting.Evidence)
_SET_X = (
    pairs.update()
    .where(
        pairs.c.dimension == bindparam("b_dimension"),
        pairs.c.value == bindparam("b_value"),
        pairs.c.signal == bindparam("b_signal"),
        pairs.c.n == bindparam("b_n"),
    )
    .values(x=bindparam("b_x"))
)


class Baseline(NamedTuple):
    """What counts as honest for a signal in a month; `delta` None: too few pairs to estimate it."""

    pairs: int
    rho: float | None
    delta: float | None


class EvidenceStore:
    """The evidence touched by one transaction."""

    def __init__(self, connection: Connection, rules_since: int = 0) -> None:
        """`rules_since`: first day (ordinal) that is judged by the present rules."""
        self._connection = connection
        self._rules = alerting.Rules(rules_since)
        self._states: dict[Series, alerting.Evidence] = {}
        self._days: dict[tuple[Series, int], bytes | None] = {}  # states to write; None: the current one, at flush
        self._older: set[Series] = set()  # series of which some states may no longer be needed
        self._new: list[tuple[object, ...]] = []
        self._fleet: dict[tuple[str, int], tuple[int, float]] = {}
        self._baselines: dict[tuple[str, str], Baseline | None] = {}
        self._numbers: dict[tuple[str, int], dict[Series, dict[str, int]]] = {}
        self._covered: dict[str, tuple[int, int]] = {}  # account -> first and last day that were read

    # Baselines

    def baseline(self, signal: str, month: str) -> Baseline | None:
        """The frozen baseline of a month ("2017-05"); None if it is not frozen yet."""
        key = (signal, month)
        if key not in self._baselines:
            query = select(nulls.c.pairs, nulls.c.rho, nulls.c.delta).where(
                nulls.c.signal == signal, nulls.c.month == month
            )
            row = self._connection.execute(query).one_or_none()
            self._baselines[key] = None if row is None else Baseline(*row)
        return self._baselines[key]

    def freeze(self, signal: str, month: str, baseline: Baseline) -> Baseline:
        """Freeze the baseline of a month: it never changes again.

        Returns the one that counts: this one, or what another worker froze earlier.
        """
        locks.lock_freezing(self._connection)
        insert_new(self._connection, nulls, [{"signal": signal, "month": month, **baseline._asdict()}])
        self._baselines.pop((signal, month), None)
        return self.baseline(signal, month) or baseline

    def fleet(self, signal: str, before: date) -> tuple[int, float]:
        """Number and sum of x of the fleet's pairs of the 90 days before a day."""
        last = before.toordinal() - 1
        days = self.fleet_days(signal, last - WINDOW_DAYS + 1, last)
        return sum(n for _, n, _ in days), sum(total for _, _, total in days)

    def fleet_days(self, signal: str, first: int, last: int) -> list[tuple[int, int, float]]:
        """(day, n, sum of x) of the fleet's days from `first` to `last` that had pairs, sorted.

        Always in the same order, so that the last digit of a sum is the same on every database.
        """
        query = select(fleet_days.c.day, fleet_days.c.n, fleet_days.c.total).where(
            fleet_days.c.signal == signal, fleet_days.c.day.between(first, last)
        )
        by_day = {row.day: (row.n, row.total) for row in self._connection.execute(query)}
        by_day |= {day: sums for (name, day), sums in self._fleet.items() if name == signal and first <= day <= last}
        return [(day, *by_day[day]) for day in sorted(by_day)]

    def count_fleet(self, signal: str, day: int, x: float, previous: float | None) -> None:
        """Add one order's pair, or its change from `previous`, to the fleet's sums of that day.

        One by one, so that the sums do not depend on the size of batches.
        """
        if (signal, day) not in self._fleet:
            query = select(fleet_days.c.n, fleet_days.c.total).where(
                fleet_days.c.signal == signal, fleet_days.c.day == day
            )
            stored = self._connection.execute(query).one_or_none()
            self._fleet[signal, day] = (0, 0.0) if stored is None else (stored.n, stored.total)
        n, total = self._fleet[signal, day]
        self._fleet[signal, day] = (n + (previous is None), total + (x - (previous or 0.0)))

    # Pairs

    def load(self, accounts: Sequence[str], first_day: int, last_day: int) -> None:
        """Read the numbers of these accounts' pairs on those days, in one query."""
        query = select(pairs.c.account_id, pairs.c.day, *_NUMBER).where(
            among(self._connection, pairs.c.account_id, accounts), pairs.c.day.between(first_day, last_day)
        )
        for account, day, *number in self._connection.execute(query):
            self._remember(account, day, *number)
        for account in accounts:
            self._covered[account] = (first_day, last_day)

    def counted(self, series: Series, account: str, day: int) -> dict[str, int]:
        """The account's orders whose pairs count in this series on that day, with the number of each pair."""
        first, last = self._covered.get(account, (1, 0))
        if not first <= day <= last:
            self._write_pairs()
            self.load([account], min(first, day) if last else day, max(last, day))
        return self._numbers.get((account, day), {}).get(series, {})

    def append(self, series: Series, pair: alerting.Pair, received_at: datetime) -> alerting.Evidence:
        """Append a new pair. Returns the state before it, to which the caller adds the pair (`alerting.observe`)."""
        state = self.state(series)
        self._close_day(series, state, pair.day)
        n = state.pairs + 1
        self._new.append((*series, n, pair.day, received_at, pair.account, pair.order, pair.x, pair.delta))
        self._remember(pair.account, pair.day, *series, n, pair.order)
        self._days[series, _day(state, pair)] = None
        return state

    def enter(self, series: Series, day: int, threshold: Threshold) -> alerting.Transition | None:
        """Judge the evidence so far by a threshold that fell since its last day, up to `day`; before pairs of that day.

        Returns the transition of the alert, if one opens. Repeating it changes nothing.
        """
        state = self.state(series)
        if state.last_day is None or state.alert is not None:
            return None
        for first, limit in threshold.falls(state.last_day, day):
            if state.detector.evidence >= limit:
                self._close_day(series, state, first)
                opened = alerting.enter(state, first, limit, *self.context(series, state.pairs))
                self._days[series, first] = _encode(state)
                return opened
        return None

    def context(self, series: Series, pairs: int) -> tuple[alerting.Recent, alerting.Rules]:
        """How the detector reads back from the pair with the number `pairs`, and the rules of the series' alerts."""
        return partial(self.recent, series, pairs), self._rules_of(series)

    def _rules_of(self, series: Series) -> alerting.Rules:
        if series.signal != MOVED:
            return self._rules
        return alerting.Rules(self._rules.since, partial(self._customers_disagree, series))

    def _customers_disagree(self, series: Series, run: Sequence[alerting.Pair]) -> bool:
        """Whether the customers of the orders whose promises were moved say, more often than honest ones, late."""
        self._write_pairs()
        moved = {pair.order for pair in run if pair.x > 0.0}
        accounts = sorted({pair.account for pair in run if pair.x > 0.0})
        query = select(pairs.c.order_id, pairs.c.x, pairs.c.delta).where(
            among(self._connection, pairs.c.account_id, accounts),
            pairs.c.day >= min(pair.day for pair in run),
            _is(pairs, series._replace(signal=ON_TIME)),
        )
        answered = [row for row in self._connection.execute(query) if row.order_id in moved]
        xs = sorted(row.x for row in answered)  # in one order, so that their sum is the same on every database
        return bool(answered) and rate_interval(sum(xs), len(xs))[0] > max(row.delta for row in answered)

    def amend(
        self, series: Series, n: int, day: int, x: float, threshold: Threshold, today: int
    ) -> alerting.Transition | None:
        """Change the x of pair number `n`, of that day. Returns the transition of the segment's alert, if any."""
        before = self.state(series).alert
        self._write_pairs()
        key = {f"b_{name}": item for name, item in series._asdict().items()}
        self._connection.execute(_SET_X, [{**key, "b_n": n, "b_x": x}])
        return alerting.difference(before, self.fold(series, day, threshold, today).alert)

    def fold(self, series: Series, first_day: int, threshold: Threshold, today: int) -> alerting.Evidence:
        """Fold the pairs from that day on again, from the state before that day. From day 0: a full replay.

        `today`: the day up to which the evidence is judged, also where it has no pair.
        """
        self.flush()
        query = (
            select(evidence.c.state)
            .where(_is(evidence, series), evidence.c.day < first_day)
            .order_by(evidence.c.day.desc())
            .limit(1)
        )
        stored = self._connection.execute(query).scalar()
        state = _state.decode(stored) if stored is not None else alerting.Evidence()
        self._connection.execute(delete(evidence).where(_is(evidence, series), evidence.c.day >= first_day))
        self._states[series] = state
        self._older.add(series)
        for pair in self._pairs(series, state.pairs + 1, None):
            day = _day(state, pair)
            self.enter(series, day, threshold)
            self._close_day(series, state, day)
            self._days[series, day] = None
            alerting.observe(state, pair, threshold.on(day), *self.context(series, state.pairs + 1))
        self.enter(series, today, threshold)
        return state

    def _close_day(self, series: Series, state: alerting.Evidence, day: int) -> None:
        """Keep the state of the last day as it is, before one of a later day changes it."""
        last = state.last_day
        if last is None or day <= last:
            return
        if self._days.get((series, last), b"") is None:
            self._days[series, last] = _encode(state)
        if checkpoints.begins_week(last, day):
            self._older.add(series)

    def state(self, series: Series) -> alerting.Evidence:
        """The current evidence of a series."""
        if series not in self._states:
            stored = self._connection.execute(_CURRENT, series._asdict()).scalar()
            self._states[series] = _state.decode(stored) if stored is not None else alerting.Evidence()
        return self._states[series]

    def lock_level(self, dimension: str) -> list[Series]:
        """Lock the evidence of all segments of a level that have any. Returns their series, sorted."""
        key = (evidence.c.dimension, evidence.c.value, evidence.c.signal)
        stored = self._connection.execute(select(*key).where(evidence.c.dimension == dimension).distinct())
        found = {Series(*row) for row in stored}
        locks.lock(self._connection, "segment", {Segment(one.dimension, one.value).key for one in found})
        unread = sorted(found - self._states.keys())
        for start in range(0, len(unread), _SERIES_AT_ONCE):
            self.load_states(unread[start : start + _SERIES_AT_ONCE])
        return sorted(found | {one for one in self._states if one.dimension == dimension})

    def delete_level(self, dimension: str) -> None:
        """Delete the pairs, the evidence and the daily sums of a level. What was frozen for its months stays."""
        self._connection.execute(delete(pairs).where(pairs.c.dimension == dimension))
        self._connection.execute(delete(evidence).where(evidence.c.dimension == dimension))
        self._connection.execute(delete(segment_days).where(segment_days.c.dimension == dimension))

    def load_states(self, wanted: Collection[Series]) -> None:
        """Read the evidence of these series in one query; `state` reads a single one."""
        series = (evidence.c.dimension, evidence.c.value, evidence.c.signal)
        newest = (
            select(*series, func.max(evidence.c.day).label("day"))
            .where(among_rows(self._connection, series, wanted))
            .group_by(*series)
            .subquery()
        )
        same = (evidence.c[name] == newest.c[name] for name in (*Series._fields, "day"))
        self._states.update((one, alerting.Evidence()) for one in wanted)
        for *key, state in self._connection.execute(select(*series, evidence.c.state).join(newest, and_(*same))):
            self._states[Series(*key)] = _state.decode(state)

    def recent(self, series: Series, last: int, count: int) -> list[alerting.Pair]:
        """The `count` counted pairs that end with number `last`, oldest first."""
        self._write_pairs()
        return self._pairs(series, last - count + 1, last)

    def current_run(self, series: Series) -> tuple[alerting.Evidence, list[alerting.Pair]]:
        """The current state, and the pairs of its lead bet's run, oldest first."""
        state = self.state(series)
        run = state.detector.run
        return state, [] if run is None else self.recent(series, state.pairs, run.n)

    def flush(self) -> None:
        """Write everything."""
        self._write_pairs()
        rows = [
            {**series._asdict(), "day": day, "state": (text or _encode(self._states[series])).decode()}
            for (series, day), text in self._days.items()
        ]
        upsert(self._connection, evidence, rows)
        self._days.clear()
        self._thin()
        fleet = [(signal, day, n, total) for (signal, day), (n, total) in self._fleet.items()]
        upsert(self._connection, fleet_days, fleet, ("signal", "day", "n", "total"))
        self._fleet.clear()

    def _thin(self) -> None:
        """Delete the states of old days that are no longer needed, once a week for each series."""
        wanted = sorted(self._older)
        self._older.clear()
        for start in range(0, len(wanted), _SERIES_AT_ONCE):
            days: dict[Series, list[int]] = {}
            some = among_rows(self._connection, _SERIES, wanted[start : start + _SERIES_AT_ONCE])
            for *key, day in self._connection.execute(select(*_SERIES, evidence.c.day).where(some)):
                days.setdefault(Series(*key), []).append(day)
            old = [(*series, day) for series, known in days.items() for day in checkpoints.superseded(known)]
            remove(self._connection, evidence, old, _STATE)

    def _write_pairs(self) -> None:
        if self._new:
            insert(self._connection, pairs, self._new, _PAIR)
            self._new = []

    def _pairs(self, series: Series, first: int, last: int | None) -> list[alerting.Pair]:
        query = select(pairs.c.day, pairs.c.x, pairs.c.delta, pairs.c.account_id, pairs.c.order_id).where(
            _is(pairs, series), pairs.c.n >= first
        )
        if last is not None:
            query = query.where(pairs.c.n <= last)
        return [alerting.Pair(*row) for row in self._connection.execute(query.order_by(pairs.c.n))]

    def _remember(self, account: str, day: int, dimension: str, value: str, signal: str, n: int, order: str) -> None:
        series = Series(dimension, value, signal)
        self._numbers.setdefault((account, day), {}).setdefault(series, {})[order] = n


def _day(state: alerting.Evidence, pair: alerting.Pair) -> int:
    """The day whose state a pair changes. In a cluster a pair of an earlier day may be late."""
    return pair.day if state.last_day is None else max(pair.day, state.last_day)


def _is(table: Table, series: Series) -> ColumnElement[bool]:
    return and_(table.c.dimension == series.dimension, table.c.value == series.value, table.c.signal == series.signal)


# Built once: executed for every series of every batch.
_CURRENT = (
    select(evidence.c.state)
    .where(*(evidence.c[name] == bindparam(name) for name in Series._fields))
    .order_by(evidence.c.day.desc())
    .limit(1)
)
_SERIES = (evidence.c.dimension, evidence.c.value, evidence.c.signal)
_STATE = (*Series._fields, "day")
_PAIR = (*Series._fields, "n", "day", "received_at", "account_id", "order_id", "x", "delta")
_NUMBER = (pairs.c.dimension, pairs.c.value, pairs.c.signal, pairs.c.n, pairs.c.order_id)
