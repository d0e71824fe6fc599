"""Mean score and scenario NPS of a segment, each with its interval."""

from collections.abc import Mapping

from msgspec import Struct

from pipeline.domain.answers.scores import DETRACTOR_UP_TO, PROMOTER_FROM
from pipeline.domain.detection.intervals import mean_interval


class Figure(Struct, frozen=True):
    """A figure with the interval that holds at every look, and the number of answers behind it."""

    value: float
    low: float
    high: float
    n: int


Histogram = Mapping[tuple[int, int], int]  # (scale, score) -> answers


def nps(histogram: Histogram) -> Figure | None:
    """Promoters minus detractors in points (-100 to 100); None without answers."""
    total = sum(histogram.values())
    if not total:
        return None
    promoters = sum(n for (scale, score), n in histogram.items() if score >= PROMOTER_FROM[scale])
    detractors = sum(n for (scale, score), n in histogram.items() if score <= DETRACTOR_UP_TO[scale])
    low, high = mean_interval({1.0: promoters, 0.0: total - promoters - detractors, -1.0: detractors}, -1.0, 1.0)
    return Figure(100 * (promoters - detractors) / total, 100 * low, 100 * high, total)


def mean_score(histogram: Histogram) -> Figure | None:
    """The mean score on its own scale; where both scales occur, all on 0-10. None without answers."""
    scales = {scale for (scale, _), n in histogram.items() if n}
    if not scales:
        return None
    counts: dict[float, int] = {}
    for (scale, score), n in histogram.items():
        points = score if scale == 10 or scales == {5} else (score - 1) * 2.5
        counts[points] = counts.get(points, 0) + n
    low, high = (1.0, 5.0) if scales == {5} else (0.0, 10.0)
    total = sum(counts.values())
    lower, upper = mean_interval(counts, low, high)
    return Figure(sum(points * n for points, n in counts.items()) / total, lower, upper, total)
