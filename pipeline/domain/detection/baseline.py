"""The baseline of a signal: which share of denials is still honest, and the threshold of an alert."""

import math

DELTA0 = 0.05
"""Share of honest customers who misremember."""
DAYS_PER_YEAR = 365
NULL_MIN_PAIRS = 200
"""Pairs of the fleet's trailing 90 days below which an experience null is a guess, so there is none."""
RHO_CEILING = 3.0


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
