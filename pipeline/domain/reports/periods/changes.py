"""What changed between two periods: each figure with its interval, and whether the difference is shown.

The two periods have different orders. An interval for each at 1 - alpha/2 holds both true values with probability
1 - alpha (the union bound), and then the difference of the true values lies between the differences of the ends. It is
wider than an interval for two samples of fixed size, and like the intervals it comes from it holds at every look
(docs/statistics.md, "Changes between periods").
"""

from collections.abc import Callable
from typing import Literal, NamedTuple

from pipeline.domain.reports.counts import UNSCORED, Counts
from pipeline.domain.reports.figures import ENOUGH_PAIRS, compared_of, histogram_of, rescues, share
from pipeline.domain.reports.scenario_nps import Figure, nps

ALPHA = 0.05
Verdict = Literal["change", "no proven change", "not enough answers"]
Scale = Literal["share", "difference", "points"]


class Change(NamedTuple):
    """A figure in a period and in the one before. `difference`: now minus before, on the same scale.

    `scale`: of shares (0 to 1), of differences of shares, or of points (-100 to 100). `better_up`: whether a higher
    value is the better one.
    """

    name: str
    now: Figure | None
    before: Figure | None
    difference: Figure | None
    verdict: Verdict
    scale: Scale
    better_up: bool

    @property
    def is_better(self) -> bool | None:
        """Whether the change is for the better; None: no change is shown."""
        if self.difference is None or self.verdict != "change":
            return None
        return (self.difference.value > 0) == self.better_up


class _Figure(NamedTuple):
    name: str
    of: Callable[[Counts, float], Figure | None]
    scale: Scale = "share"
    better_up: bool = True


def changes(now: Counts, before: Counts) -> list[Change]:
    """The figures of a period against those of the period before, from the summed counters of both."""
    return [_change(figure, now, before) for figure in _FIGURES]


def _change(figure: _Figure, now: Counts, before: Counts) -> Change:
    shown = _known(figure.of(now, ALPHA)), _known(figure.of(before, ALPHA))
    halves = _known(figure.of(now, ALPHA / 2)), _known(figure.of(before, ALPHA / 2))
    difference = _difference(*halves)
    verdict: Verdict = "not enough answers"
    if difference is not None:
        verdict = "no proven change" if difference.low <= 0 <= difference.high else "change"
    return Change(figure.name, *shown, difference, verdict, figure.scale, figure.better_up)


def _difference(now: Figure | None, before: Figure | None) -> Figure | None:
    if now is None or before is None:
        return None
    low, high = now.low - before.high, now.high - before.low
    return Figure(now.value - before.value, low, high, min(now.n, before.n))


def _known(figure: Figure | None) -> Figure | None:
    return figure if figure is not None and figure.n >= ENOUGH_PAIRS else None


def _share_of(hits: str, of: str) -> Callable[[Counts, float], Figure | None]:
    def _of(counts: Counts, alpha: float) -> Figure | None:
        return share(counts.get(hits, 0), counts.get(of, 0), alpha)

    return _of


def _experienced(claim: str) -> Callable[[Counts, float], Figure | None]:
    def _of(counts: Counts, alpha: float) -> Figure | None:
        found = compared_of(counts, claim, alpha)
        return None if found is None else found.experienced

    return _of


def _gap(counts: Counts, alpha: float) -> Figure | None:
    found = compared_of(counts, "on_time", alpha)
    return None if found is None else found.gap


def _unhappy(counts: Counts, alpha: float) -> Figure | None:
    scored = counts.get("on_time:answered", 0) - counts.get(UNSCORED, 0)
    return share(counts.get("on_time:detractor", 0), scored, alpha)


def _nps(counts: Counts, alpha: float) -> Figure | None:
    return nps(histogram_of(counts), alpha)


_FIGURES = (
    _Figure("Claimed on time", _share_of("on_time", "on_time:stated")),
    _Figure("Experienced on time", _experienced("on_time")),
    _Figure("Difference, in points", _gap, "difference", better_up=False),
    _Figure("Experienced in full", _experienced("in_full")),
    _Figure("Unhappy, claimed on time", _unhappy, better_up=False),
    _Figure("Scenario NPS", _nps, "points"),
    _Figure("Promises moved after they were missed", rescues, better_up=False),
    _Figure("Questions answered", _share_of("answered", "asked")),
)
