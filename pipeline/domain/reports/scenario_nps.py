"""Mean score and scenario NPS of a segment, each with its interval."""

from collections.abc import Mapping
from typing import NamedTuple

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


class Moods(NamedTuple):
    """Answers with a score by what they mean for the NPS."""

    promoters: int = 0
    passives: int = 0
    detractors: int = 0

    @property
    def total(self) -> int:
        """The number of answers."""
        return sum(self)

    @property
    def points(self) -> float:
        """Promoters minus detractors in points (-100 to 100); 0 without answers."""
        return 100 * (self.promoters - self.detractors) / self.total if self.total else 0.0

    def without(self, others: "Moods") -> "Moods":
        """These answers without others that are among them."""
        return Moods(*(max(all_of - part, 0) for all_of, part in zip(self, others, strict=True)))


def moods_of(histogram: Histogram) -> Moods:
    """The answers of a histogram by mood."""
    promoters = sum(n for (scale, score), n in histogram.items() if score >= PROMOTER_FROM[scale])
    detractors = sum(n for (scale, score), n in histogram.items() if score <= DETRACTOR_UP_TO[scale])
    return Moods(promoters, sum(histogram.values()) - promoters - detractors, detractors)


def nps(histogram: Histogram, alpha: float = 0.05) -> Figure | None:
    """Promoters minus detractors in points (-100 to 100); None without answers."""
    return nps_of(moods_of(histogram), alpha)


def nps_of(moods: Moods, alpha: float = 0.05) -> Figure | None:
    """The same from answers by mood."""
    if not moods.total:
        return None
    low, high = mean_interval({1.0: moods.promoters, 0.0: moods.passives, -1.0: moods.detractors}, -1.0, 1.0, alpha)
    return Figure(moods.points, 100 * low, 100 * high, moods.total)


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
