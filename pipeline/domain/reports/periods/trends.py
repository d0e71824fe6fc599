"""How claimed and experienced performance change over time, from the counters of successive weeks or months."""

from collections import Counter
from collections.abc import Iterable, Mapping, Sequence

from msgspec import Struct

from pipeline.domain.reports.counts import Counts
from pipeline.domain.reports.figures import Compared, compared_of

COUNTERS = ("on_time", "on_time:stated", "on_time:11", "on_time:10", "on_time:01", "on_time:00")
"""What a trend needs of each week or month."""


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


def trend(found: Mapping[int, Counts], first_days: Sequence[int]) -> list[Point]:
    """One point for each first day, in their order, from the counters by first day."""
    points = []
    for day in first_days:
        counts = found.get(day, {})
        points.append(Point(day, _claimed(counts), compared_of(counts)))
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


def _claimed(counts: Counts) -> float | None:
    stated = counts.get("on_time:stated", 0)
    return counts.get("on_time", 0) / stated if stated else None


def _sum(several: Iterable[Counts]) -> Counts:
    total: Counter[str] = Counter()
    for counts in several:
        total.update(counts)
    return total
