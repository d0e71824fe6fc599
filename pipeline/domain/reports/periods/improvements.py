"""What to improve first: how many points of the scenario NPS each cause costs in each segment.

Effect of a cause = share of the scored answers that report it x (NPS of the other answers - NPS of those). So many
points the segment's NPS would be higher if those customers had answered as the others did. That is a comparison of
answers, no experiment: customers with other reasons to be unhappy may report more faults.

Every cause of every segment is compared, so each interval has the level 1 - alpha / (number of comparisons): then all
of them hold together with probability 1 - alpha, whatever depends on what (Bonferroni; Dunn 1961, "Multiple comparisons
among means"). Each is the union bound of three intervals: of the share and of both NPS (docs/statistics.md, "What to
improve first").
"""

from collections.abc import Iterable, Mapping, Sequence
from typing import NamedTuple

from pipeline.domain.detection.intervals import rate_interval
from pipeline.domain.reports.counts import CAUSE, MOODS, SCORE, Counts
from pipeline.domain.reports.figures import ENOUGH_PAIRS, histogram_of
from pipeline.domain.reports.scenario_nps import Figure, Moods, moods_of, nps_of

ALPHA = 0.05
CAUSES: Mapping[str, str] = {
    "late": "late or not received",
    "incomplete": "something was missing",
    "damaged": "damaged",
    "wrong": "wrong goods",
    "papers_missing": "papers missing",
}
"""What customers report, in words."""
COUNTERS = (
    *(f"{SCORE}5:{score}" for score in range(1, 6)),
    *(f"{SCORE}10:{score}" for score in range(11)),
    *(f"{CAUSE}{cause}:{mood}" for cause in CAUSES for mood in MOODS),
)
"""The counters of a segment that are needed."""


class Improvement(NamedTuple):
    """A cause in a segment. `answers`: how many report it, of `of` scored ones. `effect`: points of the NPS.

    `effect` None: there are not enough answers to compare.
    """

    segment: str
    cause: str
    answers: int
    of: int
    share: Figure
    effect: Figure | None

    @property
    def proven(self) -> bool:
        """Whether the effect is shown, for all comparisons together."""
        return self.effect is not None and self.effect.low > 0


class Improvements(NamedTuple):
    """The causes that cost most, the largest effect first, then some without enough answers.

    `compared`: how many causes of segments had enough answers; `too_few`: how many had not.
    """

    rows: Sequence[Improvement]
    compared: int
    too_few: int


class _Candidate(NamedTuple):
    segment: str
    cause: str
    reporting: Moods
    others: Moods

    @property
    def of(self) -> int:
        return self.reporting.total + self.others.total

    @property
    def effect(self) -> float:
        return self.reporting.total / self.of * (self.others.points - self.reporting.points)

    @property
    def is_enough(self) -> bool:
        return min(self.reporting.total, self.others.total) >= ENOUGH_PAIRS


def improvements(segments: Mapping[str, Counts], most: int, most_unknown: int = 3) -> Improvements:
    """The `most` causes with the largest effects, and `most_unknown` of those that cannot be compared yet."""
    found = [one for name, counts in segments.items() for one in _candidates(name, counts)]
    enough = sorted((one for one in found if one.is_enough), key=lambda one: (-one.effect, one.segment, one.cause))
    unknown = sorted(
        (one for one in found if not one.is_enough), key=lambda one: (-one.reporting.total, one.segment, one.cause)
    )
    level = ALPHA / (3 * max(len(enough), 1))
    rows = [_compared(one, level) for one in enough[:most] if one.effect > 0]
    rows += [_uncompared(one) for one in unknown[:most_unknown]]
    return Improvements(rows, len(enough), len(unknown))


def _candidates(segment: str, counts: Counts) -> Iterable[_Candidate]:
    scored = moods_of(histogram_of(counts))
    for cause in CAUSES:
        reporting = Moods(*(counts.get(f"{CAUSE}{cause}:{mood}", 0) for mood in MOODS))
        if reporting.total:
            yield _Candidate(segment, cause, reporting, scored.without(reporting))


def _compared(one: _Candidate, alpha: float) -> Improvement:
    """`alpha`: of each of the three intervals."""
    share = Figure(one.reporting.total / one.of, *rate_interval(one.reporting.total, one.of, alpha), one.of)
    with_it, without = nps_of(one.reporting, alpha), nps_of(one.others, alpha)
    effect = None
    if with_it is not None and without is not None:
        low, high = without.low - with_it.high, without.high - with_it.low
        bottom = low * (share.low if low > 0 else share.high)
        top = high * (share.high if high > 0 else share.low)
        effect = Figure(one.effect, bottom, top, one.reporting.total)
    return Improvement(one.segment, one.cause, one.reporting.total, one.of, share, effect)


def _uncompared(one: _Candidate) -> Improvement:
    n, of = one.reporting.total, one.of
    return Improvement(one.segment, one.cause, n, of, Figure(n / of, *rate_interval(n, of), of), None)
