"""Mean score and scenario NPS of a segment, each with its interval."""

from collections.abc import Mapping

from msgspec import Struct

from pipeline.domain.answers.scores import DETRACTOR_UP_TO, PROMOTER_FROM
from pipeline.domain.detection.intervals import gap_interval, mean_interval


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
    low, high = gap_interval(promoters, detractors, total - promoters - detractors)
    return Figure(100 * (promoters - detractors) / total, 100 * low, 100 * high, total)


def mean_score(histogram: Histogram) -> Figure | None:
    """The mean score on its own scale; where both scales occur, all on 0-10. None without answers."""
    total = sum(histogram.values())
    if not total:
        return None
    scales = {scale for (scale, _), n in histogram.items() if n}
    if scales == {5}:
        points, low, high = sum(score * n for (_, score), n in histogram.items()), 1.0, 5.0
        return _mean(float(points), total, low, high)
    points_of_ten = sum((score if scale == 10 else (score - 1) * 2.5) * n for (scale, score), n in histogram.items())
    return _mean(points_of_ten, total, 0.0, 10.0)


def _mean(points: float, total: int, low: float, high: float) -> Figure:
    lower, upper = mean_interval(points, total, low, high)
    return Figure(points / total, lower, upper, total)
