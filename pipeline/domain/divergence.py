"""When does the claim stop matching the experience? The evidence of one segment, as numbers.

An e-detector: a number R that, while the claim is honest, grows by no more than one a day on average, however
many answers come and however often anybody looks. Reaching A by chance takes A days or more on average. What
is made of a crossing stands in `alerting`. Source of all formulas: DIVERGENCE.md.

Units: days are whole days since year 1 (`date.toordinal()`); `x` in [0, 1] is how much of the claim the
customer denies (0 agrees, 1 denies); `delta` is the largest mean of `x` that is still honest.
"""

import math
from collections.abc import Iterable
from typing import Annotated

import msgspec

BETS = (0.03, 0.06, 0.12, 0.24, 0.48)
RESOLVER_BETS = (0.1, 0.3, 0.6)

DELTA0 = 0.05
"""Share of honest customers who misremember."""
DAYS_PER_YEAR = 365
CAP_PER_ACCOUNT_DAY = 3
"""Orders per (segment, account, day) that count, first come: nobody floods the statistic."""
NULL_MIN_PAIRS = 200
"""Pairs of the fleet's trailing 90 days below which an experience null is a guess, so there is none."""
RHO_CEILING = 3.0

# Cutting R off only ever lowers evidence, so no false alarm comes of it, and JSON has no word for infinity.
EVIDENCE_CAP = 1e300

_Five = tuple[float, float, float, float, float]
_Three = tuple[float, float, float]
_Ten = tuple[float, float, float, float, float, float, float, float, float, float]
_Floats = Annotated[list[float], msgspec.Meta(min_length=5, max_length=5)]
_Ints = Annotated[list[int], msgspec.Meta(min_length=5, max_length=5)]


# --- the null -----------------------------------------------------------------------------------------------


def rho(rho_hat: float | None) -> float:
    """How many times as often those who feel they waited answer, in [1, 3].

    `rho_hat`: response rate of orders that operations itself calls late / response rate of the others; None
    if it cannot be estimated. 95 % and 97 % are how well customers tell the two apart, which `rho_hat`
    dilutes. Without an estimate 1: too high a `rho` costs months of delay, so it is never guessed high.
    """
    if rho_hat is None or math.isnan(rho_hat):
        return 1.0
    undiluted = 0.97 - 0.05 * rho_hat
    if undiluted <= 0.0:  # beyond a ratio of 19.4 the formula turns over; its limit from below is infinite
        return RHO_CEILING
    return min(max((0.95 * rho_hat - 0.03) / undiluted, 1.0), RHO_CEILING)


def response_ratio(late_asked: int, late_answered: int, other_asked: int, other_answered: int) -> float | None:
    """`rho_hat`: response rate of the orders called late over that of the others.

    None while there is none: nobody asked, or nobody answered, on either side.
    """
    if late_asked <= 0 or other_asked <= 0 or late_answered <= 0 or other_answered <= 0:
        return None
    return (late_answered / late_asked) / (other_answered / other_asked)


def delta_on_responders(delta0: float, rho: float) -> float:
    """The honest rate `delta0` of all customers as it shows among those who answer."""
    return rho * delta0 / (1.0 + (rho - 1.0) * delta0)


def experience_null(n: int, total: float) -> float | None:
    """The null of the experience signal: the mean of `n` values of x that add up to `total`.

    None under 200 pairs. A fleet without one unhappy answer gets 0.5/(n+1), since a null of exactly 0 would
    let a single answer prove anything; a fleet without a happy one stays as far below 1.
    """
    if n < NULL_MIN_PAIRS:
        return None
    edge = 0.5 / (n + 1)
    return min(total / n, 1.0 - edge) if total > 0.0 else edge


def threshold(segments: int, levels: int, budget: float) -> float:
    """A, in days: cross when R >= A.

    `segments`: configured capacity of the level (not how many there happen to be: a replay must alarm alike);
    `levels`: how many share the budget equally; `budget`: false alarms a year for the whole fleet.
    """
    if segments <= 0 or levels <= 0 or budget <= 0.0:
        raise ValueError(f"segments, levels and budget must be positive, got {segments}, {levels}, {budget}")
    return DAYS_PER_YEAR * segments * levels / budget


# --- the detector -------------------------------------------------------------------------------------------

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
        return _log10(self.evidence)

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


def _log10(evidence: float) -> float:
    return math.log10(evidence) if evidence > 0.0 else -math.inf


# --- the way back -------------------------------------------------------------------------------------------


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
        return _log10(self.evidence)


# --- day blocks ---------------------------------------------------------------------------------------------


class Block(msgspec.Struct, frozen=True):
    """A stretch of pairs as what it does to every bet's evidence: ``R_j -> a_j R_j + b_j``."""

    a: _Five = (1.0, 1.0, 1.0, 1.0, 1.0)
    b: _Five = (0.0, 0.0, 0.0, 0.0, 0.0)

    def apply(self, by_bet: Iterable[float]) -> list[float]:
        """The bets' evidence after the block, from the evidence before it."""
        return [a * r + b for a, b, r in zip(self.a, self.b, by_bet, strict=True)]


def pair_block(mass: int, x: float, delta: float) -> Block:
    """One pair that comes `mass` days after the one before it (1 for the first, 0 within a day)."""
    try:
        e = _factors[delta][x][:5]
    except KeyError:
        e = _learn_factors(delta, x)[:5]
    return Block(a=e, b=_five(mass * factor for factor in e))


def day_block(mass: int, pairs: Iterable[tuple[float, float]]) -> Block:
    """The pairs of one day, each (x, delta), in order; `mass` days after the last day that had any."""
    block = Block()
    for x, delta in pairs:
        block = compose(block, pair_block(mass, x, delta))
        mass = 0
    return block


def compose(first: Block, second: Block) -> Block:
    """`first`, then `second`: ``(a1 a2, a2 b1 + b2)`` per bet."""
    return Block(
        a=_five(a1 * a2 for a1, a2 in zip(first.a, second.a, strict=True)),
        b=_five(a2 * b1 + b2 for b1, a2, b2 in zip(first.b, second.a, second.b, strict=True)),
    )


def _five(values: Iterable[float]) -> _Five:
    a, b, c, d, e = values
    return a, b, c, d, e


# --- settlement ---------------------------------------------------------------------------------------------


class Answer(msgspec.Struct, frozen=True):
    """One stakeholder's answer about one order, on the day the server received it."""

    day: int
    order: str
    account: str
    claimed_well: bool
    x: float


class Settled(msgspec.Struct, frozen=True):
    """One order's observation, at the day of its first answer."""

    day: int
    order: str
    account: str
    x: float


def may_count(claimed_well: bool, counted: int, cap: int = CAP_PER_ACCOUNT_DAY) -> bool:
    """Does an order enter the evidence, `counted` orders of its account having done so that day?

    Decided once, at its first answer: a later answer neither brings in an order that was left out nor uses up
    a place.
    """
    return claimed_well and counted < cap


def settle(answers: Iterable[Answer], cap: int = CAP_PER_ACCOUNT_DAY) -> list[Settled]:
    """Answers in the order of their receipt -> observations in the order of their orders' first answers.

    x is the mean over the order's stakeholders.
    """
    first: dict[str, Answer] = {}
    counted: dict[tuple[str, int], int] = {}
    answered: dict[str, list[float]] = {}
    for answer in answers:
        if answer.order not in first:
            first[answer.order] = answer
            place = (answer.account, answer.day)
            if may_count(answer.claimed_well, counted.get(place, 0), cap):
                counted[place] = counted.get(place, 0) + 1
                answered[answer.order] = []
        if answer.order in answered:
            answered[answer.order].append(answer.x)
    return [Settled(first[order].day, order, first[order].account, sum(xs) / len(xs)) for order, xs in answered.items()]
