"""When does the claim stop matching the experience? The evidence of one segment, as numbers.

An e-detector: a number R that, while the claim is honest, grows by no more than one a day on average, however
many answers come and however often anybody looks. Reaching A by chance takes A days or more on average. What
is made of a crossing stands in `alerting`. Source of all formulas: DIVERGENCE.md.

Units: days are whole days since year 1 (`date.toordinal()`); `x` in [0, 1] is how much of the claim the
customer denies (0 agrees, 1 denies); `delta` is the largest mean of `x` that is still honest.
"""

import math
from typing import Annotated

import msgspec

BETS = (0.03, 0.06, 0.12, 0.24, 0.48)
CAP_PER_ACCOUNT_DAY = 3
"""Orders per (segment, account, day) that count, first come: nobody floods the statistic."""
# Cutting R off only ever lowers evidence, so no false alarm comes of it, and JSON has no word for infinity.
EVIDENCE_CAP = 1e300
_Three = tuple[float, float, float]
_Ten = tuple[float, float, float, float, float, float, float, float, float, float]
_Floats = Annotated[list[float], msgspec.Meta(min_length=5, max_length=5)]
_Ints = Annotated[list[int], msgspec.Meta(min_length=5, max_length=5)]
# Answers are 0, 1 or a fraction of a few stakeholders, nulls change monthly: a handful of entries in
# practice. The limit holds for the nulls and for the answers under each, so 16,384 entries (about 6 MB) at
# the very worst.
_CACHE_LIMIT = 128
_factors: dict[float, dict[float, _Ten]] = {}


def _learn_factors(delta: float, x: float) -> _Ten:
    """The five factors ``1 - f + f x / delta`` and their logarithms, from now on looked up."""
    if not 0.0 < delta < 1.0:
        raise ValueError(f"delta must lie strictly between 0 and 1, got {delta}")
    if not 0.0 <= x <= 1.0:
        raise ValueError(f"x must lie between 0 and 1, got {x}")
    e = tuple(1.0 - f + f * x / delta for f in BETS)
    ten: _Ten = (*e, *(math.log(factor) for factor in e))  # type: ignore[assignment]
    if len(_factors) >= _CACHE_LIMIT:
        _factors.clear()
    by_x = _factors.setdefault(delta, {})
    if len(by_x) >= _CACHE_LIMIT:
        by_x.clear()
    by_x[x] = ten
    return ten


class Run(msgspec.Struct, frozen=True):
    """The stretch of pairs that a bet's evidence comes from: how many, their sum of x, and its first day."""

    n: int
    sum: float
    since: int

    @property
    def rate(self) -> float:
        return self.sum / self.n


class Detector(msgspec.Struct):
    """Mixture Shiryaev-Roberts e-detector in calendar time; O(1) state, and JSON keeps every bit of it.

    Per bet j: evidence ``R_j <- (R_j + m)(1 - f_j + f_j x / delta)``, where m is 1 for the first pair and
    then the whole days since the previous one; and a log-CUSUM (restart when <= 0) that marks the run.
    """

    by_bet: _Floats = msgspec.field(default_factory=lambda: [0.0] * 5)
    cusum: _Floats = msgspec.field(default_factory=lambda: [0.0] * 5)
    run_n: _Ints = msgspec.field(default_factory=lambda: [0] * 5)
    run_sum: _Floats = msgspec.field(default_factory=lambda: [0.0] * 5)
    run_since: _Ints = msgspec.field(default_factory=lambda: [0] * 5)
    last_day: int | None = None

    def step(self, day: int, x: float, delta: float) -> float:
        """Take in one pair; out comes the new R.

        A day earlier than the last one counts as the last one: time adds mass once, it never gives it back.
        """
        # Written out per bet: it runs for every answer in every segment, and a loop costs half as much again.
        try:
            e0, e1, e2, e3, e4, l0, l1, l2, l3, l4 = _factors[delta][x]
        except KeyError:
            e0, e1, e2, e3, e4, l0, l1, l2, l3, l4 = _learn_factors(delta, x)
        by_bet, cusum, n, sums, since = self.by_bet, self.cusum, self.run_n, self.run_sum, self.run_since
        r0, r1, r2, r3, r4 = by_bet
        last = self.last_day
        mass = 1 if last is None else day - last
        if mass > 0:
            self.last_day = day
            r0 += mass
            r1 += mass
            r2 += mass
            r3 += mass
            r4 += mass
        elif last is not None:
            day = last
        by_bet[0] = r0 = r0 * e0
        by_bet[1] = r1 = r1 * e1
        by_bet[2] = r2 = r2 * e2
        by_bet[3] = r3 = r3 * e3
        by_bet[4] = r4 = r4 * e4
        c0, c1, c2, c3, c4 = cusum
        if c0 <= 0.0:
            cusum[0], n[0], sums[0], since[0] = l0, 1, x, day
        else:
            cusum[0] = c0 + l0
            n[0] += 1
            sums[0] += x
        if c1 <= 0.0:
            cusum[1], n[1], sums[1], since[1] = l1, 1, x, day
        else:
            cusum[1] = c1 + l1
            n[1] += 1
            sums[1] += x
        if c2 <= 0.0:
            cusum[2], n[2], sums[2], since[2] = l2, 1, x, day
        else:
            cusum[2] = c2 + l2
            n[2] += 1
            sums[2] += x
        if c3 <= 0.0:
            cusum[3], n[3], sums[3], since[3] = l3, 1, x, day
        else:
            cusum[3] = c3 + l3
            n[3] += 1
            sums[3] += x
        if c4 <= 0.0:
            cusum[4], n[4], sums[4], since[4] = l4, 1, x, day
        else:
            cusum[4] = c4 + l4
            n[4] += 1
            sums[4] += x
        total = r0 + r1 + r2 + r3 + r4
        if total > EVIDENCE_CAP:
            by_bet[:] = [min(r, EVIDENCE_CAP) for r in by_bet]
            return self.evidence
        return total / 5

    @property
    def evidence(self) -> float:
        """R, in days: the mean over the bets."""
        r0, r1, r2, r3, r4 = self.by_bet
        return (r0 + r1 + r2 + r3 + r4) / 5

    @property
    def log10_evidence(self) -> float:
        return log10_days(self.evidence)

    @property
    def lead(self) -> int:
        """Index of the bet with the most evidence; the smallest one of equals."""
        return self.by_bet.index(max(self.by_bet))

    @property
    def lead_bet(self) -> float:
        return BETS[self.lead]

    @property
    def run(self) -> Run | None:
        """The lead bet's run; None before the first pair."""
        if self.last_day is None:
            return None
        j = self.lead
        return Run(self.run_n[j], self.run_sum[j], self.run_since[j])


def log10_days(evidence: float) -> float:
    """The logarithm of an amount of evidence, in days; minus infinity for none."""
    return math.log10(evidence) if evidence > 0.0 else -math.inf


def may_count(claimed_well: bool, counted: int, cap: int = CAP_PER_ACCOUNT_DAY) -> bool:
    """Does an order enter the evidence, `counted` orders of its account having done so that day?

    Decided once, at its first answer: a later answer neither brings in an order that was left out nor uses up
    a place.
    """
    return claimed_well and counted < cap
