"""Scores and the scenario NPS: would they recommend us, after this one fulfilment?"""

from collections.abc import Mapping
from typing import NamedTuple

from pipeline.domain.events import Score
from pipeline.domain.intervals import gap_interval, mean_interval

SCALES: Mapping[int, range] = {5: range(1, 6), 10: range(11)}
# Detractors and promoters by scale: 0-6 and 9-10 of ten (Reichheld 2003); on five, 1-2 and 5.
_DETRACTOR_UP_TO = {5: 2, 10: 6}
_PROMOTER_FROM = {5: 5, 10: 9}


class Figure(NamedTuple):
    """A figure with the interval that holds at every look, and the number of answers behind it."""

    value: float
    low: float
    high: float
    n: int


def is_detractor(score: Score) -> bool:
    """Whether the score is that of an unhappy customer."""
    return score.value <= _DETRACTOR_UP_TO[score.scale]


def is_promoter(score: Score) -> bool:
    """Whether the score is that of a customer who would recommend us."""
    return score.value >= _PROMOTER_FROM[score.scale]


Histogram = Mapping[tuple[int, int], int]  # (scale, score) -> answers


def nps(histogram: Histogram) -> Figure | None:
    """Promoters minus detractors in points (-100 to 100); None without answers."""
    total = sum(histogram.values())
    if not total:
        return None
    promoters = sum(n for (scale, score), n in histogram.items() if score >= _PROMOTER_FROM[scale])
    detractors = sum(n for (scale, score), n in histogram.items() if score <= _DETRACTOR_UP_TO[scale])
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
