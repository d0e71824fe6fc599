"""Measures the figures of `statistics.md` that `unvarnished simulate` does not print.

    python -m docs.measure_statistics [EXPERIMENT ...]

Every experiment draws from generators with fixed seeds (0, 1, 2, ...), so a second run prints the same figures.
"""

import random
import statistics
import sys
from collections.abc import Callable, Iterable, Iterator
from dataclasses import replace
from math import sqrt

from pipeline.domain.detection import alerting, baseline, intervals
from pipeline.domain.detection.pairs import SILENCES
from pipeline.simulation import detection, fleets, segments, sources

YEAR = baseline.DAYS_PER_YEAR
ACCOUNTS = 40  # of a segment, each as likely to answer
Answers = Iterable[tuple[int, float]]  # (day, x)
Rows = Iterator[str]  # of a table in Markdown


def _row(*cells: object) -> str:
    return f"| {' | '.join(map(str, cells))} |"


def _percent(share: float, digits: int = 1) -> str:
    return f"{100 * share:.{digits}f} %"


def _range(low: float, high: float) -> str:
    return f"{100 * low:.1f} to {_percent(high)}"


def generator(seed: int) -> random.Random:
    """A seeded source of random numbers: repeatable, and nothing secret."""
    return random.Random(seed)  # noqa: S311


def opened(transition: alerting.Transition | None) -> bool:
    """Whether an alert has just become a divergence."""
    return transition is not None and transition.what != "resolved" and transition.alert.kind == "divergence"


def observe(
    answers: Answers, null: Callable[[int], float], threshold: float, rng: random.Random
) -> Iterator[tuple[int, alerting.Transition]]:
    """Fold a segment's answers as the product does; yields the day and what its alert did."""
    evidence, pairs = alerting.Evidence(), list[alerting.Pair]()
    for day, x in answers:
        pair = alerting.Pair(day, x, null(day), str(rng.randrange(ACCOUNTS)), "")
        pairs.append(pair)
        transition = alerting.observe(evidence, pair, threshold, lambda count: pairs[-count:])
        if transition is not None:
            yield day, transition


def steady(rng: random.Random, rate: float, per_day: int, days: range) -> Answers:
    """Answers that deny at one rate, each by itself."""
    return ((day, float(rng.random() < rate)) for day in days for _ in range(per_day))


def by_day(rng: random.Random, rate: float, correlation: float, per_day: int) -> Answers:
    """A year in which each day has a rate of its own: Beta with that mean, and that correlation within a day."""
    spread = 1 / correlation - 1
    rates = [rng.betavariate(rate * spread, (1 - rate) * spread) for _ in range(YEAR)]
    return ((day, float(rng.random() < rates[day])) for day in range(YEAR) for _ in range(per_day))


def wrong_baseline() -> Rows:
    """Honest segments whose customers make mistakes more often than the baseline says."""
    threshold = baseline.threshold(200, 1, 1.0)
    for rate in (0.05, 0.06, 0.07, 0.08, 0.10):
        rng = generator(0)
        found = [
            next(observe(steady(rng, rate, 3, range(YEAR)), lambda _: 0.05, threshold, rng), None) for _ in range(1000)
        ]
        alerts = [each[1].alert.kind for each in found if each]
        yield _row(_percent(rate, 0), _percent(len(alerts) / 1000), _percent(alerts.count("divergence") / 1000))


def correlated() -> Rows:
    """Honest segments whose answers of one day resemble each other; first alerts per segment-year."""
    threshold = baseline.threshold(200, 1, 1.0)
    for rate in (0.05, 0.03):
        for per_day in (3, 10):
            shown = []
            for correlation in (0.02, 0.05, 0.10, 0.20):
                rng = generator(0)
                years = [by_day(rng, rate, correlation, per_day) for _ in range(1000)]
                found = [next(observe(year, lambda _: 0.05, threshold, rng), None) for year in years]
                shown.append(sum(each is not None for each in found) / 1000)
            yield _row(_percent(rate, 0), per_day, *(f"{each:.3f}" for each in shown))


def one_bad_day() -> Rows:
    """Sixty honest days (4 %), one day with ten answers of which many deny, thirty honest days."""
    threshold = baseline.threshold(200, 1, 1.0)
    for rate in (0.3, 0.5, 0.7):
        kinds = []
        for seed in range(1000):
            rng = generator(seed)
            answers = [
                *steady(rng, 0.04, 3, range(60)),
                *steady(rng, rate, 10, range(60, 61)),
                *steady(rng, 0.04, 3, range(61, 91)),
            ]
            kinds += [
                found[1].alert.kind for found in [next(observe(answers, lambda _: 0.05, threshold, rng), None)] if found
            ]
        yield _row(_percent(rate, 0), _percent(len(kinds) / 1000), _percent(kinds.count("divergence") / 1000))


def delays() -> Rows:
    """Answers and days until the evidence crosses, before any gate: 80 % and 40 % of the late orders are hidden."""
    for per_day in (0.3, 1, 3, 10, 30):
        found = detection.run(segments=200, days=1, seeds=1, pairs_per_day=per_day, hidden=(0.8, 0.4)).delays
        shown = [figure for delay in found for figure in (delay.median_pairs, delay.median_days)]
        yield _row(per_day, *("-" if figure is None else f"{figure:.0f}" for figure in shown))


def one_bet() -> Rows:
    """The delays of `delays`, had the best single bet for the very change been known beforehand."""
    threshold = baseline.threshold(200, 1, 1.0)
    for per_day in (1, 3, 10, 30):
        shown = []
        for hidden in (0.4, 0.8):
            rate = detection.rate_when_hiding(hidden)
            bet = (rate - 0.05) / 0.95
            shown.append(
                statistics.median(_one_bet(generator(seed), rate, bet, per_day, threshold) for seed in range(100))
            )
        yield _row(per_day, f"{shown[0]:.0f}", f"{shown[1]:.0f}")


def _one_bet(rng: random.Random, rate: float, bet: float, per_day: int, threshold: float) -> int:
    """Answers from the change on day 60 to the crossing."""
    evidence, counted, day = 0.0, 0, 0
    while True:
        evidence += 1
        for _ in range(per_day):
            x = rng.random() < (rate if day >= 60 else 0.04)
            counted += day >= 60
            evidence *= 1 - bet + bet * x / 0.05
            if evidence >= threshold:
                if day >= 60:
                    return counted
                evidence = 0.0
        day += 1


def resolving() -> Rows:
    """Faults that last, and faults that are repaired on the day the alert opens."""
    threshold = baseline.threshold(200, 1, 1.0)
    for per_day in (3, 30):
        for points in (5, 10):
            lasting = [
                _days_to_resolve(seed, 0.05 + points / 100, 0.05 + points / 100, per_day, threshold)
                for seed in range(200)
            ]
            repaired = [_days_to_resolve(seed, 0.05 + points / 100, 0.04, per_day, threshold) for seed in range(200)]
            ended = [days for days in lasting if days is not None and days <= YEAR]
            known = [days if days is not None else 10**6 for days in repaired]
            yield _row(per_day, f"{points} points", _percent(len(ended) / 200, 0), f"{statistics.median(known):.0f}")


def _days_to_resolve(seed: int, rate: float, afterwards: float, per_day: int, threshold: float) -> int | None:
    rng = generator(seed)
    start: list[int] = []

    def answers() -> Answers:
        for day in range(10 * YEAR):
            if start and day > start[0] + 2 * YEAR:
                return
            for _ in range(per_day):
                yield day, float(rng.random() < (afterwards if start else rate))

    for day, transition in observe(answers(), lambda _: 0.05, threshold, rng):
        if opened(transition) and not start:
            start.append(day)
        elif transition.what == "resolved" and start:
            return day - start[0]
    return None


def honest_fleets() -> Rows:
    """False pages of honest fleets a year, by signal, and the causes among them; 50 fleets of two years a row."""
    for fleet in fleets.FLEETS:
        count = fleets.honest(fleet, range(50))
        by_signal = [count.per_year(count.pages[signal]) for signal in fleets.SIGNALS]
        shown = (*by_signal, sum(by_signal), count.per_year(count.incidents))
        yield _row(fleet.name, *(f"{figure:.2f}" for figure in shown))


def other_signals() -> Rows:
    """False pages of honest fleets a year by the other signals; 50 fleets of two years a row."""
    silences = [signal for signal in fleets.OTHERS if signal in SILENCES]
    others = [signal for signal in fleets.OTHERS if signal not in SILENCES]
    for fleet in fleets.FLEETS:
        count = fleets.honest(fleet, range(50), signals=others)
        asked = fleets.honest(replace(fleet, answers=9.0), range(50), signals=silences)
        figures = [count.per_year(count.pages[signal]) for signal in others]
        figures += [asked.per_year(asked.pages[signal]) for signal in silences]
        yield _row(fleet.name, *(f"{figure:.2f}" for figure in figures))


def silent_sources() -> Rows:
    """How often an honest source is called silent, a year, and after how many days one that stops; 20 of each."""
    for source in (*sources.SOURCES, sources.SHUT):
        found = [days for seed in range(20) if (days := sources.found_after(source, seed)) is not None]
        yield _row(source.name, f"{sources.pages_a_year([source], range(20)):.2f}", f"{statistics.median(found):.1f}")


def power() -> Rows:
    """A depot of fifty at three levels: 20 % late, 80 % of it hidden; and a fault of 5 points that lasts."""
    company, threshold = segments.Company(late=0.2), baseline.threshold(50, 3, 1.0)
    found = [segments.time_to_alert(company, 0.8, threshold, seed) for seed in range(1000)]
    pairs, days = (
        statistics.median(getattr(each, name) if each else float("inf") for each in found) for name in ("pairs", "days")
    )
    yield _row("median answers until the alert", f"{pairs:.0f}")
    yield _row("median days until the alert", f"{days:.0f}")
    ended = [segments.resolved_within_a_year(company, 0.10, threshold, seed) for seed in range(1000)]
    for name, column in zip(("at 400", "at 100"), zip(*ended, strict=True), strict=True):
        yield _row(f"lasting fault of 5 points called resolved within a year, {name}", _percent(sum(column) / 1000))
    repaired = [segments.days_to_confirm_repair(company, 0.10, threshold, seed) for seed in range(300)]
    middle = statistics.median(float("inf") if each is None else each for each in repaired)
    yield _row("median days until a repair is confirmed", f"{middle:.0f}")


def coverage() -> Rows:
    """How often an interval ever excludes the truth, looked at after each of the first 100 answers, then each tenth."""
    looks = [*range(1, 101), *range(110, 1001, 10)]
    for rate in (0.05, 0.20, 0.50):
        rng = generator(0)
        ours = wilson = 0
        for _ in range(1000):
            hits = list(_running(rng, rate, 1000))
            ours += any(
                not low <= rate <= high for low, high in (intervals.rate_interval(hits[n - 1], n) for n in looks)
            )
            wilson += any(not low <= rate <= high for low, high in (_wilson(hits[n - 1], n) for n in looks))
        yield _row(_percent(rate, 0), _percent(ours / 1000), _percent(wilson / 1000))


def _running(rng: random.Random, rate: float, n: int) -> Iterator[int]:
    hits = 0
    for _ in range(n):
        hits += rng.random() < rate
        yield hits


def _wilson(hits: int, n: int) -> tuple[float, float]:
    """The interval for one look (Wilson 1927)."""
    z, p = 1.96, hits / n
    middle, width = (p + z * z / (2 * n)), z * sqrt(p * (1 - p) / n + z * z / (4 * n * n))
    return (middle - width) / (1 + z * z / n), (middle + width) / (1 + z * z / n)


def widths() -> Rows:
    """How wide the intervals are: a rate of 10 %, a mean of 7 of ten, an NPS of 20 (40 % like us, 20 % do not)."""
    for n in (10, 30, 100, 300, 1000):
        low, high = intervals.rate_interval(n // 10, n)
        one, two = _wilson(n // 10, n)
        # Scores as customers give them: a mean of 7.0, and a few very unhappy ones.
        scores = {0.0: n // 10, 5.0: n // 5, 7.0: n // 5, 8.0: n // 5, 10.0: n - n // 10 - 3 * (n // 5)}
        bottom, top = intervals.mean_interval(scores, 0.0, 10.0)
        worst, best = intervals.mean_interval({1.0: 4 * n // 10, 0.0: 4 * n // 10, -1.0: n // 5}, -1.0, 1.0)
        score, promoters = f"{bottom:.1f} to {top:.1f}", f"{100 * worst:.0f} to {100 * best:.0f}".replace("-", "−")
        yield _row(f"{n:,}", _range(low, high), _range(one, two), score, promoters)


EXPERIMENTS = (
    delays,
    one_bet,
    wrong_baseline,
    correlated,
    one_bad_day,
    resolving,
    power,
    honest_fleets,
    other_signals,
    silent_sources,
    coverage,
    widths,
)

if __name__ == "__main__":
    for experiment in EXPERIMENTS:
        if not sys.argv[1:] or experiment.__name__ in sys.argv[1:]:
            print(f"\n{experiment.__name__}: {experiment.__doc__}", flush=True)
            for row in experiment():
                print(row, flush=True)
