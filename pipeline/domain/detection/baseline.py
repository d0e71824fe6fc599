"""The baseline of a signal (the largest honest share of contradictions) and the threshold of alerts.

Source of the formulas: docs/statistics.md, "The baseline".
"""

import math
from collections.abc import Iterable

from pipeline.domain.detection.intervals import rate_interval

DELTA0 = 0.05
"""Share of honest customers who misremember and contradict a true claim."""
DAYS_PER_YEAR = 365
BASELINE_MIN_PAIRS = 200
"""Pairs in the fleet's trailing 90 days below which the experience signal has no baseline."""
HALF_LIFE_DAYS = 7
"""After about so many days a day counts half in the fleet's present state (each day 1 - ln2/7 of the next)."""
PRIOR_PAIRS = 50
"""Pairs at the frozen mean that the fleet's present state starts from: a quiet week says little."""
CEILING = 0.9
"""Largest baseline of the experience signal."""
SIGN_MIN_CASES = 100
"""Observations of the other segments in 90 days below which a way to embellish has no baseline."""
SIGN_FLOOR = 0.05
"""Smallest baseline of a way to embellish: as for the claims, 5 % may happen to honest people."""
SILENCE_MIN_PAIRS = 50
"""A segment's own pairs in 90 days below which nothing is known of its past."""
SILENCE_CEILING = 0.97
"""Largest baseline of silence: a higher rate could not exceed it by 3 points."""
RHO_CEILING = 3.0
"""Largest response ratio that is assumed."""


def rho(rho_hat: float | None) -> float:
    """The response ratio in [1, 3]: how many times as often customers answer who experienced a late delivery.

    `rho_hat`: response rate of orders that operations itself reports late / response rate of the others; None if it
    cannot be estimated. Customers perceive 95 % of late and 97 % of punctual deliveries as such, which dilutes
    `rho_hat`; the formula undoes that. Without an estimate the ratio is 1: too high a ratio delays alerts by months.
    """
    if rho_hat is None or math.isnan(rho_hat):
        return 1.0
    undiluted = 0.97 - 0.05 * rho_hat
    if undiluted <= 0.0:  # beyond a ratio of 19.4 the formula changes sign; its limit from below is infinite
        return RHO_CEILING
    return min(max((0.95 * rho_hat - 0.03) / undiluted, 1.0), RHO_CEILING)


def response_ratio(late_asked: int, late_answered: int, other_asked: int, other_answered: int) -> float | None:
    """`rho_hat`: response rate of the orders reported late over that of the others.

    Counts are orders. None while either group has no asked or no answered order.
    """
    if late_asked <= 0 or other_asked <= 0 or late_answered <= 0 or other_answered <= 0:
        return None
    return (late_answered / late_asked) / (other_answered / other_asked)


def delta_on_responders(delta0: float, rho: float) -> float:
    """The honest rate `delta0` of all customers as it appears among those who answer: ``rho d / (1 + (rho - 1) d)``."""
    return rho * delta0 / (1.0 + (rho - 1.0) * delta0)


def experience_baseline(n: int, total: float) -> float | None:
    """The fleet's mean of the experience signal, from `n` values of x with the sum `total`.

    None below 200 pairs. A fleet without any unhappy answer gets 0.5/(n+1): with a baseline of exactly 0 a single
    answer would prove divergence. A fleet without any happy answer stays as far below 1.
    """
    if n < BASELINE_MIN_PAIRS:
        return None
    edge = 0.5 / (n + 1)
    return min(total / n, 1.0 - edge) if total > 0.0 else edge


def fleet_now(mean: float, days: Iterable[tuple[int, int, float]]) -> float:
    """How many times its frozen `mean` the fleet's rate is at present, at least 1: a bad week of the whole fleet.

    `days`: (age, n, sum of x) of earlier days, age 1 for yesterday. ``max(1, ((ES + 50 m)/(EN + 50))/m)``, where EN and
    ES are the sums of n and x, each day weighted by ``(1 - ln2/7)^(age - 1)``.
    """
    fade = 1.0 - math.log(2.0) / HALF_LIFE_DAYS
    pairs = contradicted = 0.0
    for age, n, total in days:
        weight = fade ** (age - 1)
        pairs += weight * n
        contradicted += weight * total
    return max(1.0, (contradicted + PRIOR_PAIRS * mean) / (pairs + PRIOR_PAIRS) / mean)


def experience_null(mean: float, tau: float, now: float) -> float:
    """The baseline of *experience* in one segment: ``min(0.9, (mean + tau) * now)``.

    `mean`: the fleet's (`experience_baseline`); `tau`: honest spread between the other segments (`Spread`); `now`: the
    fleet's present state (`fleet_now`).
    """
    return min(CEILING, (mean + tau) * now)


def sign_null(n: int, total: float, tau: float) -> float | None:
    """The baseline of a way to embellish: the rate of the other segments plus their honest spread `tau`.

    `n`, `total`: number and sum of x of the other segments' observations in the trailing 90 days; None below 100 of
    them. At least 5 %: with a rarer sign a few cases would prove anything. At most 0.9.
    """
    if n < SIGN_MIN_CASES:
        return None
    return min(CEILING, max(SIGN_FLOOR, (total + 0.5) / (n + 1) + tau))


def silence_null(own: tuple[int, float], others: tuple[int, float], tau: float, now: float) -> float | None:
    """The baseline of silence in one segment: ``max(own, others + tau) * now``.

    `own`, `others`: number and sum of x in the trailing 90 days, of the segment and of the other segments of its level.
    `own` counts with the upper end of its 95 % interval: a segment falls only if it falls against its own past.
    `tau`: honest spread between the others; `now`: the fleet's present state (`fleet_now`). None below 50 pairs of its
    own, and where no rate could exceed it by the margin of an alert.
    """
    n, total = own
    if n < SILENCE_MIN_PAIRS:
        return None
    null = max(SIGN_FLOOR, rate_interval(total, n)[1])
    if others[0] >= SIGN_MIN_CASES:
        null = max(null, (others[1] + 0.5) / (others[0] + 1) + tau)
    null *= now
    return null if null <= SILENCE_CEILING else None


def threshold(segments: int, levels: int, budget: float) -> float:
    """The threshold A in days (an alert opens when R >= A): ``365 * segments * levels / budget``.

    `segments`: configured capacity of the level, not the current number of segments, so that a replay gives the same
    alerts; `levels`: number of levels that share the budget equally; `budget`: false alarms a year for the whole
    fleet. Raises ValueError unless all are positive.
    """
    if segments <= 0 or levels <= 0 or budget <= 0.0:
        raise ValueError(f"segments, levels and budget must be positive, got {segments}, {levels}, {budget}")
    return DAYS_PER_YEAR * segments * levels / budget
