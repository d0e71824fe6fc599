"""The detector: evidence that claims no longer match experience, for one segment and signal.

An e-detector is a number R that grows by at most one a day on average while the claims are honest, however many answers
arrive and however often it is checked. So R reaches A by chance after A days or more on average. `alerting` decides
what follows when R crosses A. Source of the formulas: docs/statistics.md, "The detector".

Units: days are whole days since year 1 (`date.toordinal()`); `x` in [0, 1] is how far the customer contradicts the
claim (0 agrees, 1 contradicts); `delta` is the baseline, the largest mean of `x` that is still honest.
"""

import math
from collections.abc import Iterable, Iterator
from typing import Annotated, Protocol

import msgspec

BETS = (0.03, 0.06, 0.12, 0.24, 0.48)
"""The fraction of the evidence that each component of the mixture stakes on every pair."""
CAP_PER_ACCOUNT_DAY = 3
"""Orders per (segment, account, day) that count, in order of receipt: no single account dominates the statistic."""
# A cap can only lower evidence, so it causes no false alarm; and JSON cannot represent infinity.
EVIDENCE_CAP = 1e300
_Ten = tuple[float, float, float, float, float, float, float, float, float, float]
_Floats = Annotated[list[float], msgspec.Meta(min_length=5, max_length=5)]
_Ints = Annotated[list[int], msgspec.Meta(min_length=5, max_length=5)]
# Answers are 0, 1 or a fraction of a few stakeholders, baselines change monthly: a handful of entries in practice. The
# limit applies to the baselines and to the answers under each: at most 16,384 entries (about 6 MB).
_CACHE_LIMIT = 128
_factors: dict[float, dict[float, _Ten]] = {}


def _cache_factors(delta: float, x: float) -> _Ten:
    """The five factors ``1 - f + f x / delta`` and their logarithms, added to the cache."""
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
    """The latest pairs, from which a bet's evidence stems: their number, their sum of x, and the first day."""

    n: int
    sum: float
    since: int

    @property
    def rate(self) -> float:
        """Mean of x."""
        return self.sum / self.n


class Detector(msgspec.Struct):
    """Mixture Shiryaev-Roberts e-detector in calendar time. The state is O(1) and survives JSON bit for bit.

    Per bet j: evidence ``R_j <- (R_j + m)(1 - f_j + f_j x / delta)``, where m is 1 for the first pair and then the
    whole days since the previous one; and a log-CUSUM (restarted when <= 0) that delimits the run.
    """

    by_bet: _Floats = msgspec.field(default_factory=lambda: [0.0] * 5)
    cusum: _Floats = msgspec.field(default_factory=lambda: [0.0] * 5)
    run_n: _Ints = msgspec.field(default_factory=lambda: [0] * 5)
    run_sum: _Floats = msgspec.field(default_factory=lambda: [0.0] * 5)
    run_since: _Ints = msgspec.field(default_factory=lambda: [0] * 5)
    last_day: int | None = None

    def step(self, day: int, x: float, delta: float) -> float:
        """Add one pair; returns the new R in days.

        A day before the last one counts as the last one: each day adds its mass once.
        """
        # Unrolled per bet: it runs for every answer in every segment, and a loop takes half as long again.
        try:
            e0, e1, e2, e3, e4, l0, l1, l2, l3, l4 = _factors[delta][x]
        except KeyError:
            e0, e1, e2, e3, e4, l0, l1, l2, l3, l4 = _cache_factors(delta, x)
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
        """log10 of R in days."""
        return log10_days(self.evidence)

    @property
    def lead(self) -> int:
        """Index of the bet with the most evidence; of equal bets the smallest index."""
        return self.by_bet.index(max(self.by_bet))

    @property
    def lead_bet(self) -> float:
        """The bet with the most evidence, as a fraction."""
        return BETS[self.lead]

    @property
    def run(self) -> Run | None:
        """The lead bet's run; None before the first pair."""
        if self.last_day is None:
            return None
        j = self.lead
        return Run(self.run_n[j], self.run_sum[j], self.run_since[j])


def log10_days(evidence: float) -> float:
    """log10 of an evidence in days; minus infinity for none."""
    return math.log10(evidence) if evidence > 0.0 else -math.inf


def may_count(counted: int, cap: int = CAP_PER_ACCOUNT_DAY) -> bool:
    """Whether another order enters the evidence, after `counted` orders of its account on that day.

    Decided once, at the order's first answer: a later answer does not change whether the order counts.
    """
    return counted < cap


class Observed(Protocol):
    """What the detector needs of a pair."""

    @property
    def day(self) -> int:
        """Its day."""

    @property
    def x(self) -> float:
        """How far the customer contradicts the claim."""

    @property
    def delta(self) -> float:
        """The baseline."""


def replay(pairs: Iterable[Observed]) -> Iterator[float]:
    """R in days after each pair on a new detector: what `Detector.step` returns, without keeping runs."""
    r0 = r1 = r2 = r3 = r4 = 0.0
    last: int | None = None
    for pair in pairs:
        day, x, delta = pair.day, pair.x, pair.delta
        try:
            e0, e1, e2, e3, e4, *_ = _factors[delta][x]
        except KeyError:
            e0, e1, e2, e3, e4, *_ = _cache_factors(delta, x)
        mass = 1 if last is None else day - last
        if mass > 0:
            last = day
            r0, r1, r2, r3, r4 = r0 + mass, r1 + mass, r2 + mass, r3 + mass, r4 + mass
        r0, r1, r2, r3, r4 = r0 * e0, r1 * e1, r2 * e2, r3 * e3, r4 * e4
        total = r0 + r1 + r2 + r3 + r4
        if total > EVIDENCE_CAP:
            r0, r1, r2, r3, r4 = (min(r, EVIDENCE_CAP) for r in (r0, r1, r2, r3, r4))
            total = r0 + r1 + r2 + r3 + r4
        yield total / 5
