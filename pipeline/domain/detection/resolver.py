"""The resolver: evidence that the rate of contradictions has fallen again.

Source of the formulas: docs/statistics.md, "When an alert ends".
"""

import msgspec

from pipeline.domain.detection.detector import EVIDENCE_CAP, log10_days

RESOLVER_BETS = (0.1, 0.3, 0.6)
_Three = tuple[float, float, float]


def delta1(delta: float, low: float) -> float:
    """The rate below which the rate must be shown to be before an alert resolves, strictly between `delta` and 1.

    ``delta + max(0.02, (low - delta)/2)``. `low` is the lower end of the run rate's 95 % interval at opening; the run
    rate itself is inflated at a crossing, so it would resolve alerts whose fault persists.
    """
    # A baseline within 4 points of 1 leaves no room for the 2 points; half-way to 1 keeps the bets positive.
    return min(delta + max(0.02, (low - delta) / 2), (1.0 + delta) / 2)


class Resolver(msgspec.Struct):
    """A detector in the opposite direction: evidence that the rate is below `delta1`. Same recursion, own bets."""

    delta1: float
    by_bet: _Three = (0.0, 0.0, 0.0)
    last_day: int | None = None

    def step(self, day: int, x: float) -> float:
        """Add one pair; returns the new evidence in days (an alert resolves at `alerting.RESOLVE_AT`)."""
        last = self.last_day
        mass = 1 if last is None else day - last
        if mass > 0:
            self.last_day = day
        else:
            mass = 0
        odds = (1.0 - x) / (1.0 - self.delta1)
        f, g, h = RESOLVER_BETS
        a, b, c = self.by_bet
        a = (a + mass) * (1.0 - f + f * odds)
        b = (b + mass) * (1.0 - g + g * odds)
        c = (c + mass) * (1.0 - h + h * odds)
        self.by_bet = (min(a, EVIDENCE_CAP), min(b, EVIDENCE_CAP), min(c, EVIDENCE_CAP))
        return self.evidence

    @property
    def evidence(self) -> float:
        """The evidence in days: the mean over the bets."""
        a, b, c = self.by_bet
        return (a + b + c) / 3

    @property
    def log10_evidence(self) -> float:
        """log10 of the evidence in days."""
        return log10_days(self.evidence)
