"""Confidence intervals that hold however often the dashboard is read.

An ordinary 95 % interval holds for one look at a sample size fixed beforehand. These are confidence sequences (method
of mixtures): over a whole calendar period the true value lies inside *every* interval shown, with probability
1 - alpha. They are slightly wider and allow any number of looks.

Source of the formulas: docs/statistics.md, "Intervals".
"""

import math
from collections.abc import Callable, Mapping
from functools import lru_cache

import msgspec

# 2**-45 is about 3e-14: far below anything shown, and still only 45 cheap evaluations per end.
_HALVINGS = 45
_LOG_BETA_HALF = math.log(math.pi)  # ln B(1/2, 1/2)
# The stakes of the betting interval: 14 fractions, geometric from .004 to .95.
_BETS = tuple(0.004 * (0.95 / 0.004) ** (step / 13) for step in range(14))
_TINY = 1e-9
_PRECISION = 1e-10
_STEEP = 50.0


def _edge(outside: float, inside: float, excluded: Callable[[float], bool]) -> float:
    """The point between `outside` and `inside` where `excluded` becomes false (assumed to change once)."""
    for _ in range(_HALVINGS):
        middle = (outside + inside) / 2
        if excluded(middle):
            outside = middle
        else:
            inside = middle
    return (outside + inside) / 2


@lru_cache(maxsize=65_536)  # an answer changes the counts of some segments; a page shows those of all
def rate_interval(s: float, n: float, alpha: float = 0.05) -> tuple[float, float]:
    """Interval for a rate, from `s` hits among `n` answers; both ends in [0, 1].

    All p with ``ln B(s+1/2, n-s+1/2) - ln B(1/2,1/2) - s ln p - (n-s) ln(1-p) < ln(1/alpha)``. `s` may be
    fractional: for any x in [0, 1], ``(t/p)^x ((1-t)/(1-p))^(1-x)`` is convex in x, so it lies below its
    chord, whose mean under E[x] = p is 1. The likelihood ratio therefore stays a supermartingale for means of
    bounded values, and the interval is then merely conservative. No answers: (0, 1).
    """
    _check(alpha, 0.0 <= s <= n)
    if n == 0:
        return 0.0, 1.0
    misses = n - s
    mixture = math.lgamma(s + 0.5) + math.lgamma(misses + 0.5) - math.lgamma(n + 1.0) - _LOG_BETA_HALF
    # p is excluded where its log-likelihood falls this low.
    floor = mixture + math.log(alpha)

    def excluded(p: float) -> bool:
        return _times_log(s, p) + _times_log(misses, 1.0 - p) <= floor

    best = s / n
    low = 0.0 if s == 0 else _edge(0.0, best, excluded)
    high = 1.0 if misses == 0 else _edge(1.0, best, excluded)
    return low, high


def gap_interval(n10: float, n01: float, n0: float, alpha: float = 0.05) -> tuple[float, float]:
    """Interval for the paired gap q10 - q01, in [-1, 1].

    `n10`: orders with a good claim and a bad experience; `n01`: the reverse; `n0`: both agree. All g where the
    Dirichlet(1/2,1/2,1/2) mixture of the trinomial likelihood does not beat the best likelihood under
    q10 - q01 = g by 1/alpha or more. No orders: (-1, 1).
    """
    _check(alpha, min(n10, n01, n0) >= 0)
    n = n10 + n01 + n0
    if n == 0:
        return -1.0, 1.0
    mixture = (math.lgamma(n10 + 0.5) + math.lgamma(n01 + 0.5) + math.lgamma(n0 + 0.5) - math.lgamma(n + 1.5)) - (
        3 * math.lgamma(0.5) - math.lgamma(1.5)
    )
    floor = mixture + math.log(alpha)

    def excluded(g: float) -> bool:
        return _best_trinomial(n10, n01, n0, g) <= floor

    best = (n10 - n01) / n
    low = -1.0 if best == -1.0 else _edge(-1.0, best, excluded)
    high = 1.0 if best == 1.0 else _edge(1.0, best, excluded)
    return low, high


def mean_interval(counts: Mapping[float, int], low: float, high: float, alpha: float = 0.05) -> tuple[float, float]:
    """Interval for the mean of scores between `low` and `high`; `counts`: how many answers gave each score.

    Betting (Waudby-Smith and Ramdas 2024): scores are scaled to [0, 1]; against each possible mean m 28 bettors stake
    `+f/m` or `-f/(1-m)` of their capital on every score. The interval is all m against which the bettors' mean capital
    is below 1/alpha. Without answers the whole range. Raises ValueError unless low < high.
    """
    if not low < high:
        raise ValueError(f"a score needs low < high, got {low} and {high}")
    width = high - low
    scaled = sorted((min(max((score - low) / width, 0.0), 1.0), n) for score, n in counts.items() if n)
    _check(alpha, all(n >= 0 for n in counts.values()))
    if not scaled:
        return low, high
    bottom, top = _betting_interval(tuple(scaled), alpha)
    return low + width * bottom, low + width * top


@lru_cache(maxsize=16_384)
def _betting_interval(counts: tuple[tuple[float, int], ...], alpha: float) -> tuple[float, float]:
    target = -math.log(alpha)
    mean = sum(x * n for x, n in counts) / sum(n for _, n in counts)
    inside = min(max(mean, _TINY), 1.0 - _TINY)

    # Convex in m, and at most 0 at the observed mean, so what is not excluded is one stretch around it.
    def excess(m: float) -> float:
        return _log_capital(counts, m) - target

    low = _root(_TINY, inside, excess) if mean > 0.0 and excess(_TINY) > 0.0 else 0.0
    high = _root(1.0 - _TINY, inside, excess) if mean < 1.0 and excess(1.0 - _TINY) > 0.0 else 1.0
    return low, high


def _log_capital(counts: tuple[tuple[float, int], ...], m: float) -> float:
    """ln of the bettors' mean capital against the mean m: ``mean over bets of prod(1 + lambda (x - m))``."""
    odds = [(x / m, (1.0 - x) / (1.0 - m), n) for x, n in counts]
    log = math.log
    logs = [sum([n * log(1.0 - f + f * up) for up, _, n in odds]) for f in _BETS]
    logs += [sum([n * log(1.0 - f + f * down) for _, down, n in odds]) for f in _BETS]
    best = max(logs)
    return best + math.log(sum(math.exp(value - best) for value in logs) / len(logs))


def _root(outside: float, inside: float, excess: Callable[[float], float]) -> float:
    """Where `excess` changes sign between `outside` (above 0) and `inside` (below 0): the Illinois method."""
    above, below = excess(outside), excess(inside)
    for _ in range(_HALVINGS):
        if abs(outside - inside) <= _PRECISION:
            break
        # Towards the edges the excess is so steep that secants crawl; there a halving is better.
        middle = (outside + inside) / 2 if above > _STEEP else (outside * below - inside * above) / (below - above)
        value = excess(middle)
        if value > 0.0:
            outside, above, below = middle, value, below / 2
        else:
            inside, below, above = middle, value, above / 2
    return (outside + inside) / 2


def breakdown_rho(d_low: float, delta0: float) -> float:
    """How many times as often unhappy customers must answer for response bias alone to explain the disagreement.

    `d_low`: lower end of the disagreement rate among answers; `delta0`: share of honest customers who misremember.
    Below 1 the rate is compatible with honest claims. ``rho* = d_L (1 - delta0) / (delta0 (1 - d_L))``
    """
    if not 0.0 < delta0 < 1.0:
        raise ValueError(f"delta0 must lie strictly between 0 and 1, got {delta0}")
    if d_low >= 1.0:
        return math.inf
    return d_low * (1.0 - delta0) / (delta0 * (1.0 - d_low))


class Poststratified(msgspec.Struct, frozen=True, kw_only=True):
    """Claimed and experienced shares over all completed orders of a segment, not only the answered ones.

    Shares in [0, 1]; the gap is claimed minus experienced. `gap` is None while a group with a weight (claimed on time,
    claimed late) has no answer at all: there is an interval, but no point.
    """

    claimed: float
    gap: float | None
    gap_interval: tuple[float, float]


def poststratified(
    *,
    n10: float,
    n11: float,
    n00: float,
    n01: float,
    completed: int,
    claimed_on_time: int,
    alpha: float = 0.05,
) -> Poststratified | None:
    """Weight the answers by the census of claims: C = claimed share, gap = C d - (1-C) e.

    Answered orders by (claimed, experienced): `n10` claimed on time but late for the customer, `n11` on time
    for both, `n00` late for both, `n01` claimed late but on time for the customer. `completed` and
    `claimed_on_time` count all orders. d = P(late | claimed on time), e = P(on time | claimed late); each
    gets alpha/2. None when nothing was completed.
    """
    if completed <= 0:
        return None
    claimed = claimed_on_time / completed
    unclaimed = 1.0 - claimed
    answered_on_time, answered_late = n10 + n11, n00 + n01  # by claim
    d_low, d_high = rate_interval(n10, answered_on_time, alpha / 2)
    e_low, e_high = rate_interval(n01, answered_late, alpha / 2)
    gap = None
    if (answered_on_time or not claimed) and (answered_late or not unclaimed):
        d = n10 / answered_on_time if answered_on_time else 0.0
        e = n01 / answered_late if answered_late else 0.0
        gap = claimed * d - unclaimed * e
    return Poststratified(
        claimed=claimed,
        gap=gap,
        gap_interval=(claimed * d_low - unclaimed * e_high, claimed * d_high - unclaimed * e_low),
    )


def _best_trinomial(n10: float, n01: float, n0: float, g: float) -> float:
    """The largest log-likelihood of the three counts among all (q10, q01, q0) with q10 - q01 = g.

    With q = q01, setting the derivative of ``n10 ln(q+g) + n01 ln q + n0 ln(1-g-2q)`` to zero and clearing
    the denominators leaves ``2 N q^2 - b q - n01 g (1-g) = 0``, whose larger root is the maximum.
    """
    if g < 0.0:  # the mirror image; with g >= 0 nothing below subtracts numbers of similar size
        n10, n01, g = n01, n10, -g
    n = n10 + n01 + n0
    b = (n10 + n01) * (1.0 - g) - 2.0 * g * (n01 + n0)
    constant = n01 * g * (1.0 - g)
    root = math.sqrt(b * b + 8.0 * n * constant)
    # Two forms of the same root: the one that adds is exact, the other would cancel.
    q = (b + root) / (4.0 * n) if b >= 0.0 else 2.0 * constant / (root - b)
    agree = max(1.0 - g - 2.0 * q, 0.0)
    return _times_log(n10, q + g) + _times_log(n01, q) + _times_log(n0, agree)


def _times_log(count: float, p: float) -> float:
    """count * ln p, with 0 ln 0 = 0 and a count of the impossible = minus infinity."""
    if count == 0:
        return 0.0
    return count * math.log(p) if p > 0.0 else -math.inf


def _check(alpha: float, counts_fit: bool) -> None:
    if not 0.0 < alpha < 1.0:
        raise ValueError(f"alpha must lie strictly between 0 and 1, got {alpha}")
    if not counts_fit:
        raise ValueError("counts must be non-negative, and hits at most as many as answers")
