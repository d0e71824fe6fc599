"""Simulates the detector at the volumes of one's own company, so that its promises can be checked.

One run answers two questions. How often does the detector raise an alarm in honest segments, compared with the rule of
most dashboards in the same segments? And how many answers does it need once late orders are reported as on time? All
random numbers come from seeded generators: the same arguments give the same figures on every machine.
"""

import random
import statistics
from collections import deque
from dataclasses import dataclass

from rich.console import Console
from rich.table import Table

from pipeline.domain.detection.baseline import DAYS_PER_YEAR, DELTA0, threshold
from pipeline.domain.detection.detector import Detector

# The simulated company. The naive rule and the hidden orders depend on it, the validity of the detector does not.
LATE_SHARE = 0.15
"""Share of the orders that are late."""
RESPONSE = 0.3
"""Share of customers with an order on time who answer."""
LATE_ANSWER_RATIO = 1.5
"""How many times as often customers with a late order answer. This alone shifts the rate among answers."""
RECALL = 0.97
"""Share of answers about late orders that say late."""
HONEST_RATE = 0.04
"""Share of answers about orders on time that say late by mistake, before a change."""

# The naive rule: the gap of the two rates over the last 28 days exceeds 5 points.
WINDOW_DAYS = 28
NAIVE_GAP = 0.05
NAIVE_MIN_ANSWERS = 10

CHANGE_DAY = 60
GIVE_UP_DAYS = 3 * DAYS_PER_YEAR


@dataclass(frozen=True, slots=True, kw_only=True)
class Delay:
    """How long detection takes after a share of the late orders starts to be reported as on time."""

    hidden: float
    """Share of the late orders reported as on time."""
    rate: float
    """The resulting P(customer says late | claimed on time)."""
    alarmed: int
    """Simulated segments in which the detector raised an alarm."""
    repeats: int
    """All simulated segments."""
    median_pairs: float | None
    """Answers from the change to the alarm; None if at most half of the segments had an alarm."""
    median_days: float | None
    """Days from the change to the alarm; None as for `median_pairs`."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Result:
    """The arguments of a run, and what was counted."""

    segments: int
    days: int
    seeds: int
    pairs_per_day: float
    budget: float
    null: float
    threshold: float
    pairs: int
    false_alarms: int
    """Alarms of the detector in honest segments. After each one the detector starts again."""
    naive_alarms: int
    """Days on which the naive rule started to raise an alarm in the same segments."""
    delays: tuple[Delay, ...]

    @property
    def segment_years(self) -> float:
        """Simulated time of all segments together, in years."""
        return self.segments * self.days * self.seeds / DAYS_PER_YEAR

    @property
    def false_alarms_per_segment_year(self) -> float:
        """Alarms of the detector per segment and year."""
        return self.false_alarms / self.segment_years

    @property
    def naive_alarms_per_segment_year(self) -> float:
        """Alarms of the naive rule per segment and year."""
        return self.naive_alarms / self.segment_years

    @property
    def bound_per_segment_year(self) -> float:
        """The average that the detector guarantees: the budget, divided among all segments."""
        return self.budget / self.segments


def run(
    *,
    segments: int = 200,
    days: int = DAYS_PER_YEAR,
    seeds: int = 5,
    pairs_per_day: float = 3.0,
    budget: float = 1.0,
    null: float = DELTA0,
    hidden: tuple[float, ...] = (0.4, 0.8),
    repeats: int = 100,
) -> Result:
    """Simulate `seeds` companies whose segments are honest and exactly at the tolerance, then the changes in `hidden`.

    `pairs_per_day`: answers per segment and day about orders claimed on time; may be a fraction. `budget`: acceptable
    false alarms per year for all segments together. `null`: the tolerance. `hidden`: shares of late orders that are
    reported as on time. `repeats`: simulated segments per change. Raises ValueError if a number is not positive.
    """
    if min(segments, days, seeds, repeats) <= 0 or pairs_per_day <= 0.0:
        raise ValueError("segments, days, seeds, pairs per day and repeats must be positive")
    a = threshold(segments, 1, budget)
    false_alarms = naive_alarms = pairs = 0
    for seed in range(seeds):
        rng = random.Random(seed)
        for _ in range(segments):
            ours, naive, seen = _honest_segment(rng, days, pairs_per_day, null, a)
            false_alarms += ours
            naive_alarms += naive
            pairs += seen
    return Result(
        segments=segments,
        days=days,
        seeds=seeds,
        pairs_per_day=pairs_per_day,
        budget=budget,
        null=null,
        threshold=a,
        pairs=pairs,
        false_alarms=false_alarms,
        naive_alarms=naive_alarms,
        delays=tuple(_delay(share, pairs_per_day, null, a, repeats) for share in hidden),
    )


def rate_when_hiding(share: float) -> float:
    """P(customer says late | claimed on time) if `share` of the late orders is reported as on time."""
    honest, hidden = 1.0 - LATE_SHARE, share * LATE_SHARE
    return (honest * HONEST_RATE + hidden * RECALL) / (honest + hidden)


def render(result: Result, console: Console | None = None) -> None:
    """Print a result as two tables."""
    console = console or Console()
    alarms = Table(title="Honest segments: false alarms")
    for heading in ("rule", "alarms", "per segment and year", "guaranteed maximum"):
        alarms.add_column(heading, justify="left" if heading == "rule" else "right")
    alarms.add_row(
        "e-detector",
        str(result.false_alarms),
        f"{result.false_alarms_per_segment_year:.4f}",
        f"{result.bound_per_segment_year:.4f}",
    )
    alarms.add_row(
        f"{WINDOW_DAYS}-day gap of the two rates > {NAIVE_GAP * 100:g} points",
        str(result.naive_alarms),
        f"{result.naive_alarms_per_segment_year:.4f}",
        "none",
    )
    alarms.caption = (
        f"{result.segment_years:,.0f} segment-years, {result.pairs:,} answers, tolerance {result.null:.1%}, "
        f"threshold {result.threshold:,.0f} days"
    )
    console.print(alarms)
    if not result.delays:
        return
    delays = Table(title="Late orders reported as on time: delay until the alarm")
    for heading in ("late orders hidden", "answers that say late", "median answers", "median days", "detected"):
        delays.add_column(heading, justify="right")
    for delay in result.delays:
        delays.add_row(
            f"{delay.hidden:.0%}",
            f"{delay.rate:.1%}",
            _figure(delay.median_pairs),
            _figure(delay.median_days),
            f"{delay.alarmed} of {delay.repeats}",
        )
    console.print(delays)


def _figure(value: float | None) -> str:
    return "-" if value is None else f"{value:,.0f}"


def _pairs_on(day: int, pairs_per_day: float) -> int:
    """Answers on one day. Fractions are spread evenly: 0.25 per day is one answer every fourth day."""
    return int(pairs_per_day * (day + 1)) - int(pairs_per_day * day)


class _NaiveRule:
    """The gap on most dashboards: claimed share of all orders minus on-time share of all answers.

    An alarm starts on the day on which the gap of the trailing window rises above 5 points, and lasts while it stays
    above.
    """

    def __init__(self) -> None:
        self.alarms = 0
        self._above = False
        self._window: deque[tuple[float, float, int, int]] = deque()
        self._claimed = self._orders = 0.0
        self._on_time = self._answers = 0

    def day(self, claimed: float, orders: float, on_time: int, answers: int) -> None:
        """Add a day: orders claimed on time, all orders, answers that say on time, all answers."""
        self._window.append((claimed, orders, on_time, answers))
        self._claimed += claimed
        self._orders += orders
        self._on_time += on_time
        self._answers += answers
        if len(self._window) > WINDOW_DAYS:
            claimed, orders, on_time, answers = self._window.popleft()
            self._claimed -= claimed
            self._orders -= orders
            self._on_time -= on_time
            self._answers -= answers
        above = (
            len(self._window) == WINDOW_DAYS
            and self._answers >= NAIVE_MIN_ANSWERS
            and self._claimed / self._orders - self._on_time / self._answers > NAIVE_GAP
        )
        self.alarms += above and not self._above
        self._above = above


def _honest_segment(rng: random.Random, days: int, pairs_per_day: float, null: float, a: float) -> tuple[int, int, int]:
    """(alarms of the detector, alarms of the naive rule, pairs) of a segment that reports honestly."""
    draw = rng.random
    detector, alarms, pairs = Detector(), 0, 0
    naive = _NaiveRule()
    orders_per_pair = 1.0 / RESPONSE
    late_per_pair = orders_per_pair * LATE_SHARE / (1.0 - LATE_SHARE)
    late_response = RESPONSE * LATE_ANSWER_RATIO
    for day in range(days):
        n = _pairs_on(day, pairs_per_day)
        late = late_answers = on_time = 0
        for _ in range(n):
            x = 1.0 if draw() < null else 0.0
            if not x:
                on_time += 1
            if detector.step(day, x, null) >= a:
                alarms += 1
                detector = Detector()
            # Late orders that occur per pair: each is reported as late, some are answered.
            if draw() < late_per_pair:
                late += 1
                if draw() < late_response:
                    late_answers += 1
                    if draw() >= RECALL:
                        on_time += 1
        pairs += n
        naive.day(n * orders_per_pair, n * orders_per_pair + late, on_time, n + late_answers)
    return alarms, naive.alarms, pairs


def _delay(share: float, pairs_per_day: float, null: float, a: float, repeats: int) -> Delay:
    rate = rate_when_hiding(share)
    found = [_time_to_alarm(random.Random(i), rate, pairs_per_day, null, a) for i in range(repeats)]
    # Segments without an alarm count as the slowest ones, so the median may still be known.
    never = (float("inf"), float("inf"))
    pairs, days = zip(*(never if each is None else each for each in found), strict=True)
    known = sum(each is not None for each in found) * 2 > repeats
    return Delay(
        hidden=share,
        rate=rate,
        alarmed=sum(each is not None for each in found),
        repeats=repeats,
        median_pairs=statistics.median(pairs) if known else None,
        median_days=statistics.median(days) if known else None,
    )


def _time_to_alarm(
    rng: random.Random, rate: float, pairs_per_day: float, null: float, a: float
) -> tuple[int, int] | None:
    """(pairs, days) from the change up to and including the alarm; None if there is none within three years."""
    draw = rng.random
    detector, pairs = Detector(), 0
    for day in range(CHANGE_DAY + GIVE_UP_DAYS):
        changed = day >= CHANGE_DAY
        p = rate if changed else HONEST_RATE
        for _ in range(_pairs_on(day, pairs_per_day)):
            pairs += changed
            if detector.step(day, 1.0 if draw() < p else 0.0, null) >= a:
                if changed:
                    return pairs, day - CHANGE_DAY + 1
                detector = Detector()
    return None
