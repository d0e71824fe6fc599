"""What would this detector do at *our* volumes? Simulated fleets, so that nobody has to believe a paper.

One run answers two questions. How often does it raise an alarm over honest segments, beside the rule that
most dashboards use, in the very same fleet? And how many answers does it need once late orders are reported
as on time? Everything is drawn from seeded generators: the same arguments give the same figures on every
machine.
"""

import random
import statistics
from collections import deque
from dataclasses import dataclass

from rich.console import Console
from rich.table import Table

from pipeline.domain.detection.baseline import DAYS_PER_YEAR, DELTA0, threshold
from pipeline.domain.detection.detector import Detector

# The simulated company. Only the naive rule and the hidden orders depend on it, not the detector's validity.
LATE_SHARE = 0.15
RESPONSE = 0.3
"""Share of the customers who were served on time that answer."""
LATE_ANSWER_RATIO = 1.5
"""Those who waited answer that many times as often: this alone moves the rate among answers."""
RECALL = 0.97
"""Share of those who waited that say so."""
HONEST_RATE = 0.04
"""Share of those served on time that misremember, before a change."""

WINDOW_DAYS = 28
NAIVE_GAP = 0.05
NAIVE_MIN_ANSWERS = 10

CHANGE_DAY = 60
GIVE_UP_DAYS = 3 * DAYS_PER_YEAR


@dataclass(frozen=True, slots=True, kw_only=True)
class Delay:
    """How long it takes once a share of the late orders is marked on time, from one day on and for good."""

    hidden: float
    """Share of the late orders marked on time."""
    rate: float
    """What that does to P(customer says late | claimed on time)."""
    alarmed: int
    repeats: int
    median_pairs: float | None
    """Answers from the change to the alarm; None while half of the repeats never came to one."""
    median_days: float | None


@dataclass(frozen=True, slots=True, kw_only=True)
class Result:
    segments: int
    days: int
    seeds: int
    pairs_per_day: float
    budget: float
    null: float
    threshold: float
    pairs: int
    false_alarms: int
    """Crossings of the detector over honest segments, which then start anew."""
    naive_alarms: int
    """Days on which the naive rule began to hold in the same segments."""
    delays: tuple[Delay, ...]

    @property
    def segment_years(self) -> float:
        return self.segments * self.days * self.seeds / DAYS_PER_YEAR

    @property
    def false_alarms_per_segment_year(self) -> float:
        return self.false_alarms / self.segment_years

    @property
    def naive_alarms_per_segment_year(self) -> float:
        return self.naive_alarms / self.segment_years

    @property
    def bound_per_segment_year(self) -> float:
        """What the detector promises on average: the budget, shared by all segments."""
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
    """Simulate `seeds` fleets of honest segments at exactly the null, then the changes in `hidden`.

    `pairs_per_day`: answers per segment and day about orders claimed on time, fractions allowed; `budget`:
    false alarms a year for the whole fleet; `repeats`: simulated segments per change.
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
    """P(customer says late | claimed on time), once `share` of the late orders is claimed on time."""
    honest, hidden = 1.0 - LATE_SHARE, share * LATE_SHARE
    return (honest * HONEST_RATE + hidden * RECALL) / (honest + hidden)


def render(result: Result, console: Console | None = None) -> None:
    """Print a result as two tables."""
    console = console or Console()
    alarms = Table(title="Nothing is wrong: false alarms")
    for heading in ("rule", "alarms", "per segment-year", "bound"):
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
        f"{result.segment_years:,.0f} segment-years, {result.pairs:,} answers, null {result.null:.1%}, "
        f"threshold {result.threshold:,.0f} days"
    )
    console.print(alarms)
    if not result.delays:
        return
    delays = Table(title="Late orders are marked on time: how soon it is shown")
    for heading in ("late orders hidden", "customers deny", "median answers", "median days", "shown"):
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
    """Fractions are spread evenly: at 0.25 a day there is an answer every fourth day."""
    return int(pairs_per_day * (day + 1)) - int(pairs_per_day * day)


class _NaiveRule:
    """The gap most dashboards watch: claimed share of all orders minus on-time share of all answers.

    An alarm is the day on which the gap of the trailing window rises above 5 points; while it stays there,
    that is the same alarm.
    """

    def __init__(self) -> None:
        self.alarms = 0
        self._above = False
        self._window: deque[tuple[float, float, int, int]] = deque()
        self._claimed = self._orders = 0.0
        self._on_time = self._answers = 0

    def day(self, claimed: float, orders: float, on_time: int, answers: int) -> None:
        """Orders of the day claimed on time and in all; answers of the day that say on time and in all."""
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
    """(crossings of the detector, alarms of the naive rule, pairs) of a segment that reports what happens."""
    draw = rng.random
    detector, crossings, pairs = Detector(), 0, 0
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
                crossings += 1
                detector = Detector()
            # The late orders that come with one pair, each reported as late, some of them answered.
            if draw() < late_per_pair:
                late += 1
                if draw() < late_response:
                    late_answers += 1
                    if draw() >= RECALL:
                        on_time += 1
        pairs += n
        naive.day(n * orders_per_pair, n * orders_per_pair + late, on_time, n + late_answers)
    return crossings, naive.alarms, pairs


def _delay(share: float, pairs_per_day: float, null: float, a: float, repeats: int) -> Delay:
    rate = rate_when_hiding(share)
    found = [_time_to_alarm(random.Random(i), rate, pairs_per_day, null, a) for i in range(repeats)]
    # Those that never came to an alarm are the slowest ones; the median may still be known.
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
    """(pairs, days) from the change to the crossing, that one included; None if it never does."""
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
