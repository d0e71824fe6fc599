"""Then and now: the figures of an incident at its opening and of the last days, and whether they differ."""

from collections.abc import Sequence
from datetime import date

from pipeline.domain.detection.alerting import Pair
from pipeline.domain.detection.intervals import rate_interval
from pipeline.domain.events.incidents import Now, Rate, Then, Trend

SHORT_DAYS, LONG_DAYS = 14, 30
MIN_PAIRS = 10
"""Pairs below which nothing is said about a trend."""


def rate_of(pairs: Sequence[Pair]) -> Rate | None:
    """The rate of contradictions with its 95 % interval; None without pairs."""
    if not pairs:
        return None
    # Sorted, so that thirds sum to the same last digit on every database.
    total = sum(sorted(pair.x for pair in pairs))
    low, high = rate_interval(total, len(pairs))
    return Rate(total / len(pairs), low, high, len(pairs))


def now_of(pairs: Sequence[Pair], then: Then, day: date) -> Now:
    """The figures of the last 14 and 30 days that end with `day`, from at least the pairs of these days."""
    today = day.toordinal()
    short, long = (
        rate_of([pair for pair in pairs if today - days < pair.day <= today]) for days in (SHORT_DAYS, LONG_DAYS)
    )
    null = pairs[-1].delta if pairs else then.null
    return Now(day, short, long, null, trend(then.rate, short, long))


def trend(then: Rate | None, short: Rate | None, long: Rate | None) -> Trend:
    """`better` or `worse` if the interval of the last 14 days, or else of the last 30, lies beside that of then."""
    if then is None or long is None or long.n < MIN_PAIRS:
        return "too_few"
    for now in (short, long):
        if now is None or now.n < MIN_PAIRS:
            continue
        if now.high < then.low:
            return "better"
        if now.low > then.high:
            return "worse"
    return "unchanged"


def rank_of(then: Then, now: Now | None, volume: int) -> float:
    """How many orders a month are affected at least: the low end of the excess over the baseline, times the volume.

    `volume`: orders that the segment completed in the last 30 days.
    """
    long = None if now is None else now.last_30_days
    rate = long if long is not None and long.n >= MIN_PAIRS else then.rate
    null = then.null if now is None or now.null is None else now.null
    return 0.0 if rate is None else max(0.0, rate.low - (null or 0.0)) * volume
