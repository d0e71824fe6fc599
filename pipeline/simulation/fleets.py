"""Honest fleets as they are: depots that differ, accounts that differ more, peak weeks, storms. What do they raise?

Orders are drawn with NumPy, and judged by the product's own functions: baselines, detector, gates, one cause per alert.
Only segments whose evidence ever crosses are folded pair by pair (`screen`). Seeds fix every figure.
"""

from collections import Counter
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field, replace
from datetime import date

import msgspec
import numpy as np
from numpy.typing import NDArray

from pipeline.domain.detection import alerting, baseline
from pipeline.domain.detection.alerting import Evidence, Pair, Transition
from pipeline.domain.detection.detector import CAP_PER_ACCOUNT_DAY
from pipeline.domain.detection.explanation import OpenRun, OrderPlace, explain
from pipeline.domain.detection.pairs import (
    EARLY,
    EXPERIENCE,
    IN_FULL,
    MOVED,
    NO_QUESTION,
    ON_TIME,
    SIGNS,
    SILENCES,
    UNANSWERED,
    UNASKED,
)
from pipeline.domain.detection.segments import Segment
from pipeline.domain.detection.spread import RATE_DAYS, SPREAD_DAYS, SegmentSums, Spread
from pipeline.simulation.screen import Floats, largest_evidence

Ints = NDArray[np.int64]
START = date(2024, 1, 1)
LEVELS = ("depot", "region", "carrier")
SIGNALS = (ON_TIME, EXPERIENCE)
# Of the other signals the rates at the best and at the worst depot, and the share of the orders that they count.
OTHERS: Mapping[str, tuple[tuple[float, float], float]] = {
    IN_FULL: ((0.04, 0.04), 1.0),
    MOVED: ((0.10, 0.20), 0.15),
    EARLY: ((0.02, 0.06), 0.5),
    NO_QUESTION: ((0.05, 0.15), 0.15),
    UNASKED: ((0.08, 0.18), 1.0),
    UNANSWERED: ((0.55, 0.75), 1.0),
}


@dataclass(frozen=True, slots=True, kw_only=True)
class Fleet:
    """An honest fleet. Shares in [0, 1]; all answers are about orders that were claimed on time."""

    name: str = "20 equal depots"
    depots: int = 20
    regions: int = 5
    carriers: int = 6
    accounts: int = 25
    """Accounts of each depot."""
    answers: float = 3.0
    """Mean number of answers a day and depot."""
    late: float = 0.04
    """Share of the answers that say late although the delivery was on time."""
    unhappy: tuple[float, float] = (0.12, 0.12)
    """Share of detractors at the best and at the worst depot; the others lie evenly between."""
    concentration: float | None = None
    """How alike accounts are: their rates are Beta-distributed around the depot's with this concentration. None: equal.
    """
    peak: float = 1.0
    """Factor on both rates during six weeks at the end of each year."""
    storms: float = 0.0
    """Storm days a year in each region: a quarter of the orders of such a day are said to be late or scored low."""
    years: int = 2
    capacities: tuple[int, int, int] = (50, 20, 20)
    """Configured number of depots, regions and carriers."""


_PLAIN = Fleet()
FLEETS = (
    _PLAIN,
    replace(_PLAIN, name="depots with 8 to 18 % detractors", unhappy=(0.08, 0.18)),
    replace(_PLAIN, name="accounts that differ (Beta, concentration 10)", concentration=10.0),
    replace(_PLAIN, name="peak weeks, both rates x 1.5", peak=1.5),
    replace(_PLAIN, name="three storm days a year and region", storms=3.0),
    replace(_PLAIN, name="three depots only, 8 to 18 %", depots=3, regions=2, carriers=2, unhappy=(0.08, 0.18)),
    replace(
        _PLAIN,
        name="everything at once",
        unhappy=(0.08, 0.18),
        concentration=10.0,
        peak=1.5,
        storms=3.0,
    ),
)
STORM_SHARE = 0.25
ANSWER_DELAY = (1, 4)
"""Days from an order to its answer: evenly between these."""
_PEAK_DAYS = range(318, 360)  # of the year


@dataclass(slots=True)
class Count:
    """What honest fleets raised. Everything but the fleet-years is false."""

    fleet: Fleet
    fleet_years: float = 0.0
    pages: Counter[str] = field(default_factory=Counter)
    """By signal: alerts that became a divergence."""
    shown: Counter[str] = field(default_factory=Counter)
    """By kind: alerts that were shown and notified nobody."""
    incidents: int = 0
    """Causes among the pages: echoes of another open alert do not count."""

    def per_year(self, number: int) -> float:
        """A number for each fleet and year."""
        return number / self.fleet_years


class Orders:
    """The answered orders of one fleet over all its days, in the order in which the answers were received."""

    def __init__(self, fleet: Fleet, seed: int) -> None:
        rng = np.random.default_rng([seed, 0])
        self.fleet = fleet
        self.days = 365 * fleet.years
        region_of, storms = np.arange(fleet.depots) % fleet.regions, self._storms(rng)
        size = rng.poisson(fleet.answers, (self.days, fleet.depots))
        placed: Ints = np.repeat(np.arange(self.days), size.sum(axis=1))
        self.depot: Ints = np.concatenate([np.repeat(np.arange(fleet.depots), row) for row in size])
        n = len(placed)
        self.account: Ints = self.depot * fleet.accounts + rng.integers(0, fleet.accounts, n)
        self.region: Ints = region_of[self.depot]
        self.carrier: Ints = rng.integers(0, fleet.carriers, n)
        factor = np.where(np.isin(placed % 365, _PEAK_DAYS), fleet.peak, 1.0)
        storm = storms[placed, self.region]
        self.x = {signal: self._answers(rng, self._rates(rng, signal) * factor, storm) for signal in SIGNALS}
        self.counted = {signal: np.ones(n, np.bool_) for signal in SIGNALS}
        for place, (signal, (_, share)) in enumerate(OTHERS.items(), 1):
            own = np.random.default_rng([seed, place])  # so that a further signal changes no other
            rates = self._rates(own, signal)
            # In a peak week two thirds as many answer; of the other signals there are more by half.
            rates = 1.0 - (1.0 - rates) / factor if signal == UNANSWERED else np.minimum(rates * factor, 1.0)
            self.x[signal] = self._answers(own, rates, storm)
            self.counted[signal] = own.random(n) < share
        self.day: Ints = placed + rng.integers(ANSWER_DELAY[0], ANSWER_DELAY[1] + 1, n)
        self._sort()

    def _storms(self, rng: np.random.Generator) -> NDArray[np.bool_]:
        drawn: NDArray[np.bool_] = rng.random((self.days, self.fleet.regions)) < self.fleet.storms / 365
        return drawn

    def _rates(self, rng: np.random.Generator, signal: str) -> Floats:
        """The rate of each order: that of its account, around that of its depot."""
        fleet = self.fleet
        worst_best = fleet.unhappy if signal == EXPERIENCE else (fleet.late, fleet.late)
        if signal in OTHERS:
            worst_best = OTHERS[signal][0]
        of_depot = np.linspace(*worst_best, fleet.depots)
        of_account = np.repeat(of_depot, fleet.accounts)
        if fleet.concentration is not None:
            of_account = rng.beta(of_account * fleet.concentration, (1 - of_account) * fleet.concentration)
        rates: Floats = of_account[self.account]
        return rates

    def _answers(self, rng: np.random.Generator, rates: Floats, storm: NDArray[np.bool_]) -> Floats:
        x: Floats = (rng.random(len(rates)) < np.where(storm, np.maximum(rates, STORM_SHARE), rates)).astype(np.float64)
        return x

    def _sort(self) -> None:
        order = np.argsort(self.day, kind="stable")
        for name in ("day", "depot", "account", "region", "carrier"):
            setattr(self, name, getattr(self, name)[order])
        self.x = {signal: x[order] for signal, x in self.x.items()}
        self.counted = {signal: counted[order] for signal, counted in self.counted.items()}

    def values(self, dimension: str) -> Ints:
        """The segment of each order at a level."""
        found: Ints = getattr(self, dimension)
        return found

    def places(self, order: int) -> list[Segment]:
        """The segments of one order."""
        return [Segment(level, str(self.values(level)[order])) for level in LEVELS]


def honest(fleet: Fleet, seeds: Sequence[int], budget: float = 1.0, signals: Sequence[str] = SIGNALS) -> Count:
    """Simulate an honest fleet once for each seed, and count what it raises in these signals."""
    count = Count(fleet)
    for seed in seeds:
        orders = Orders(fleet, seed)
        count.fleet_years += fleet.years
        for signal in signals:
            _Signal(orders, signal, budget).count(count)
    return count


class _Signal:
    """One signal of one fleet: the pairs of all its segments, and their alerts over time."""

    def __init__(self, orders: Orders, signal: str, budget: float) -> None:
        self.orders = orders
        self.signal = signal
        self.thresholds = {
            level: baseline.threshold(capacity, len(LEVELS), budget)
            for level, capacity in zip(LEVELS, orders.fleet.capacities, strict=True)
        }
        self._fleet = None if signal in (ON_TIME, IN_FULL) else _FleetDays(orders, signal)

    def count(self, count: Count) -> None:
        """Add what happens to `count`."""
        timeline: list[tuple[int, int, Segment, Transition]] = []
        folds: dict[Segment, _Fold] = {}
        for segment, fold in self._crossing():
            folds[segment] = fold
            timeline += [(day, number, segment, transition) for number, day, transition in fold.run()]
        paging = set[Segment]()
        for day, _, segment, transition in sorted(timeline, key=lambda change: change[:3]):
            kind = transition.alert.kind
            if transition.what == "resolved":
                paging.discard(segment)
            elif kind != "divergence":
                count.shown[kind] += transition.what == "opened"
            elif segment not in paging:
                paging.add(segment)
                count.pages[self.signal] += 1
                count.incidents += self._is_cause(segment, day, [folds[each] for each in paging])

    def _crossing(self) -> Iterator[tuple[Segment, "_Fold"]]:
        segments = [
            (Segment(level, str(value)), self._pairs(level, value))
            for level in LEVELS
            for value in range(int(self.orders.values(level).max()) + 1)
        ]
        orders, deltas = [pairs for _, (pairs, _) in segments], [delta for _, (_, delta) in segments]
        days = [self.orders.day[pairs].astype(np.float64) for pairs in orders]
        highest = largest_evidence(days, [self.orders.x[self.signal][pairs] for pairs in orders], deltas)
        for (segment, (pairs, delta)), evidence in zip(segments, highest, strict=True):
            if evidence >= self.thresholds[segment.dimension]:
                yield segment, _Fold(self, segment, pairs, delta)

    def _pairs(self, level: str, value: int) -> tuple[Ints, Floats]:
        """The orders that count in a segment, and the baseline of each."""
        found = np.flatnonzero((self.orders.values(level) == value) & self.orders.counted[self.signal])
        account_day = self.orders.account[found] * (self.orders.days + 10) + self.orders.day[found]
        found = found[_rank_within(account_day) < CAP_PER_ACCOUNT_DAY]
        if self._fleet is None:
            return found, np.full(len(found), baseline.DELTA0)
        nulls = self._fleet.nulls(level, value)[self.orders.day[found]]
        known = ~np.isnan(nulls)
        return found[known], nulls[known]

    def _is_cause(self, segment: Segment, day: int, folds: Sequence["_Fold"]) -> bool:
        """Whether a new page has a cause of its own among those that are open on that day."""
        runs = [fold.open_run(day) for fold in folds]
        present = [run for run in runs if run is not None]
        names = {pair.order for run in present for pair in run.pairs}
        places = {
            name: OrderPlace(str(self.orders.account[int(name)]), self.orders.places(int(name))) for name in names
        }
        return "=".join(segment) in explain(present, places).causes


class _Fold:
    """The evidence of one segment, pair by pair."""

    def __init__(self, signal: _Signal, segment: Segment, orders: Ints, deltas: Floats) -> None:
        fleet = signal.orders
        self.segment = segment
        self.threshold = signal.thresholds[segment.dimension]
        xs = fleet.x[signal.signal]
        self.pairs = [
            Pair(int(fleet.day[n]), float(xs[n]), float(delta), str(fleet.account[n]), str(n))
            for n, delta in zip(orders.tolist(), deltas.tolist(), strict=True)
        ]
        self.alerts: list[tuple[int, alerting.OpenAlert]] = []  # day of each change, and the alert then

    def run(self) -> Iterator[tuple[int, int, Transition]]:
        """Every change of the segment's alert: number of pairs so far, day, change."""
        evidence = Evidence()
        for number, pair in enumerate(self.pairs, 1):
            transition = alerting.observe(
                evidence,
                pair,
                self.threshold,
                lambda k, n=number: self.pairs[n - k : n],  # type: ignore[misc]
            )
            if transition is not None:
                self.alerts.append((pair.day, transition.alert))
                yield number, pair.day, transition

    def open_run(self, day: int) -> OpenRun | None:
        """The alert as it stands on a day, with its run."""
        changes = [alert for changed, alert in self.alerts if changed <= day]
        pairs = [pair for pair in self.pairs if pair.day <= day]
        run = [pair for pair in pairs if changes and pair.day >= changes[-1].since]
        if not run:
            return None
        return OpenRun(
            key="=".join(self.segment),
            segment=self.segment,
            kind=changes[-1].kind,
            threshold=self.threshold,
            pairs=run,
            counted=len(pairs),
        )


class _FleetDays:
    """The baseline in each segment on each day of a signal that needs more than delta0, from the product's formulas.

    For `no_question` without the segment's own clean orders, which could only raise it.
    """

    def __init__(self, orders: Orders, signal: str) -> None:
        self._orders, self._signal = orders, signal
        self._last = int(orders.day.max()) + 1
        self._counted = orders.counted[signal]
        self._x = np.where(self._counted, orders.x[signal], 0.0)
        n = np.bincount(orders.day[self._counted], minlength=self._last).astype(np.float64)
        total: Floats = np.bincount(orders.day, self._x, minlength=self._last).astype(np.float64)
        self._months = [_month_start(day) for day in range(self._last)]
        means = {first: self._mean(n, total, first) for first in set(self._months)}
        self._mean_of_day = [means[first] for first in self._months]
        self._now = self._present_state(n, total)
        self._spreads: dict[tuple[str, int], Spread] = {}

    def nulls(self, level: str, value: int) -> Floats:
        """By day; NaN without a baseline."""
        found: Floats = np.full(self._last, np.nan)
        for day in range(self._last):
            null = self._null(self._spread(level, self._months[day]), str(value), day)
            if null is not None:
                found[day] = null
        return found

    def _null(self, spread: Spread, value: str, day: int) -> float | None:
        mean, tau = self._mean_of_day[day], spread.tau(value)
        if self._signal in SIGNS:
            return baseline.sign_null(*spread.others(value), tau)
        if mean is None:
            return None
        if self._signal in SILENCES:
            return baseline.silence_null(spread.own(value), spread.others(value), tau, self._now[day])
        return baseline.experience_null(mean, tau, self._now[day])

    def _mean(self, n: Floats, total: Floats, first: int) -> float | None:
        window = slice(max(first - 90, 0), max(first, 0))
        return baseline.experience_baseline(int(n[window].sum()), float(total[window].sum()))

    def _present_state(self, n: Floats, total: Floats) -> list[float]:
        """`baseline.fleet_now` of each day, by its recursion: yesterday's weighted sums, faded once more."""
        fade = 1.0 - np.log(2.0) / baseline.HALF_LIFE_DAYS
        pairs = contradicted = 0.0
        found = []
        for day, mean in enumerate(self._mean_of_day):
            prior = baseline.PRIOR_PAIRS
            state = 1.0 if mean is None else (contradicted + prior * mean) / (pairs + prior) / mean
            found.append(max(1.0, state))
            pairs, contradicted = fade * pairs + n[day], fade * contradicted + total[day]
        return found

    def _spread(self, level: str, first: int) -> Spread:
        if (level, first) not in self._spreads:
            values, day = self._orders.values(level), self._orders.day
            sums = [
                self._sums(values, self._counted & (day >= first - days) & (day < first))
                for days in (SPREAD_DAYS, RATE_DAYS)
            ]
            (n, total), (recent_n, recent_total) = sums
            rows = [
                SegmentSums(str(value), int(n[value]), total[value], int(recent_n[value]), recent_total[value])
                for value in range(len(n))
            ]
            self._spreads[level, first] = Spread(rows)
        return self._spreads[level, first]

    def _sums(self, values: Ints, when: NDArray[np.bool_]) -> tuple[list[int], list[float]]:
        size = int(values.max()) + 1
        n = np.bincount(values[when], minlength=size)
        return n.tolist(), np.bincount(values[when], self._x[when], minlength=size).tolist()


def _month_start(day: int) -> int:
    """The day on which the month of a day starts; days are counted from `START`."""
    when = date.fromordinal(START.toordinal() + day)
    return when.replace(day=1).toordinal() - START.toordinal()


def _rank_within(keys: Ints) -> Ints:
    """How many earlier elements have the same key."""
    order = np.argsort(keys, kind="stable")
    ordered = keys[order]
    starts = np.flatnonzero(np.r_[True, ordered[1:] != ordered[:-1]])
    ranks: Ints = np.empty(len(keys), dtype=np.int64)
    ranks[order] = np.arange(len(keys)) - np.repeat(starts, np.diff(np.r_[starts, len(keys)]))
    return ranks


def as_json(counts: Sequence[Count]) -> bytes:
    """The counts of several fleets, to keep the result of a long run."""
    return msgspec.json.encode(
        [
            {
                "fleet": count.fleet.name,
                "fleet_years": count.fleet_years,
                "pages": dict(count.pages),
                "shown": dict(count.shown),
                "incidents": count.incidents,
            }
            for count in counts
        ]
    )
