"""The way back: evidence that the rate of denials has fallen again."""

import msgspec

from pipeline.domain.detection.detector import EVIDENCE_CAP, _Three, log10_days

RESOLVER_BETS = (0.1, 0.3, 0.6)


def delta1(delta: float, low: float) -> float:
    """The rate that must be shown to be undercut before an alert is over, strictly between `delta` and 1.

    ``delta + max(0.02, (low - delta)/2)``, `low` being the lower end of the run rate's 95 % interval at
    opening: the run rate itself is inflated at a crossing, and lasting faults would be called over.
    """
    # A null within 4 points of 1 leaves no room for the 2 points; half-way to 1 keeps the bets positive.
    return min(delta + max(0.02, (low - delta) / 2), (1.0 + delta) / 2)


class Resolver(msgspec.Struct):
    """The detector turned round: evidence that the rate is below `delta1` again. Same recursion, own bets."""

    delta1: float
    by_bet: _Three = (0.0, 0.0, 0.0)
    last_day: int | None = None

    def step(self, day: int, x: float) -> float:
        """Take in one pair; out comes the new evidence (resolved at 100)."""
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
        a, b, c = self.by_bet
        return (a + b + c) / 3

    @property
    def log10_evidence(self) -> float:
        return log10_days(self.evidence)
