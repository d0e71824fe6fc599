"""How claimed and experienced performance change over time, from the counters of successive weeks or months."""

from collections import Counter
from collections.abc import Iterable, Mapping, Sequence

from msgspec import Struct

from pipeline.domain.reports.counts import Counts
from pipeline.domain.reports.figures import Compared, compared_of


def counters_of(claim: str) -> tuple[str, ...]:
    """What a trend of a claim (on_time, in_full) needs of each week or month."""
    return (claim, *(f"{claim}:{name}" for name in ("stated", "11", "10", "01", "00")))


COUNTERS = counters_of("on_time")


class Point(Struct, frozen=True):
    """The orders completed in one week or month. `day`: its first day, an ordinal.

    `claimed`: share on time according to operations; `compared`: None as in `figures`.
    """

    day: int
    claimed: float | None
    compared: Compared | None


class Shares(Struct, frozen=True):
    """The two shares on time of some weeks, without their intervals; None: unknown."""

    claimed: float | None
    experienced: float | None


def trend(found: Mapping[int, Counts], first_days: Sequence[int], claim: str = "on_time") -> list[Point]:
    """One point for each first day, in their order, from the counters by first day."""
    points = []
    for day in first_days:
        counts = found.get(day, {})
        points.append(Point(day, _claimed(counts, claim), compared_of(counts, claim)))
    return points


def smoothed(found: Mapping[int, Counts], first_days: Sequence[int], pool: int) -> list[Shares]:
    """The shares of each first day and the `pool - 1` before it together: single weeks have few answers.

    Begins with the first day that has as many before it.
    """
    ends = range(pool, len(first_days) + 1)
    return [shares_of(_sum(found.get(day, {}) for day in first_days[end - pool : end])) for end in ends]


def shares_of(counts: Counts) -> Shares:
    """The points of `figures.compared_of`, without the cost of their intervals."""
    claimed = _claimed(counts)
    confirmed, denied = counts.get("on_time:11", 0), counts.get("on_time:10", 0)
    if claimed is None or not confirmed + denied:
        return Shares(claimed, None)
    better, late = counts.get("on_time:01", 0), counts.get("on_time:00", 0)
    kept = claimed * confirmed / (confirmed + denied)
    early = (1 - claimed) * better / (better + late) if better + late else 0.0
    return Shares(claimed, min(max(kept + early, 0.0), 1.0))


def _claimed(counts: Counts, claim: str = "on_time") -> float | None:
    stated = counts.get(f"{claim}:stated", 0)
    return counts.get(claim, 0) / stated if stated else None


def _sum(several: Iterable[Counts]) -> Counts:
    total: Counter[str] = Counter()
    for counts in several:
        total.update(counts)
    return total
