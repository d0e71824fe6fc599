"""Four ways to make fulfilment look better than it was, each with the signal that gives it away.

Predicates say what happened to one order; figures are made of counts, because the product counts per segment
and day and never goes through the orders again. A figure without a denominator is None, not 0. Source of the
formulas: DIVERGENCE.md, "Four ways to embellish". All times carry an offset; shares are in [0, 1].
"""

from collections.abc import Iterable
from datetime import datetime, timedelta

EARLY_SCAN_TOLERANCE = timedelta(hours=2)
"""A customer who says "around noon" is not contradicting a scan at 10:30."""
EARLY_SCAN_NULL = 0.02
SHARED_PHONE_ACCOUNTS = 3
"""Accounts on one phone from which on it is nobody's customer: a depot's, or a driver's."""


# --- the promise is moved after it was missed ---------------------------------------------------------------


def was_missed(promised_at: datetime, delivered_at: datetime | None) -> bool:
    """Was it delivered after that promise? What has not come yet is not a delivery."""
    return delivered_at is not None and delivered_at > promised_at


def was_rescued(
    first_promise: datetime, moved_at: datetime | None, last_promise: datetime, delivered_at: datetime | None
) -> bool:
    """Late against the first promise, on time against one that was made after the first had passed.

    `moved_at`: when the last promise was made; None if it is still the first one.
    """
    return (
        moved_at is not None
        and moved_at > first_promise
        and was_missed(first_promise, delivered_at)
        and not was_missed(last_promise, delivered_at)
    )


def rescue_share(rescued: int, missed: int) -> float | None:
    """Of the orders that missed their first promise, the share made on time by moving it afterwards."""
    return _share(rescued, missed)


def on_time_share(missed: int, delivered: int) -> float | None:
    """Share of the deliveries that kept a promise, from the number that missed it."""
    return _share(delivered - missed, delivered)


def inflation(missed_first: int, missed_last: int, delivered: int) -> float | None:
    """On time against the last promise minus on time against the first."""
    first, last = on_time_share(missed_first, delivered), on_time_share(missed_last, delivered)
    return None if first is None or last is None else last - first


# --- "delivered" is scanned early ---------------------------------------------------------------------------


def was_scanned_early(
    scanned_at: datetime | None, stated_arrival: datetime | None, tolerance: timedelta = EARLY_SCAN_TOLERANCE
) -> bool | None:
    """Did the goods come more than the tolerance after their scan? None unless both times are known."""
    if scanned_at is None or stated_arrival is None:
        return None
    return stated_arrival - scanned_at > tolerance


def early_scan_share(early: int, stated: int) -> float | None:
    """Of the stated arrivals, the share that came well after the scan."""
    return _share(early, stated)


# --- problem orders get no question -------------------------------------------------------------------------


def was_at_risk(first_promise: datetime, moved_at: datetime | None, delivered_at: datetime | None) -> bool:
    """An order that somebody could wish unasked: its promise was missed, or moved at any time."""
    return moved_at is not None or was_missed(first_promise, delivered_at)


def contact_missing_risk_ratio(missing_at_risk: int, at_risk: int, missing_clean: int, clean: int) -> float | None:
    """How many times as often an order at risk has no contact to ask: ``((a+1/2)/(b+1)) / ((c+1/2)/(d+1))``.

    The halves keep small counts from shouting. None while one of the two groups is empty.
    """
    if at_risk <= 0 or clean <= 0:
        return None
    return ((missing_at_risk + 0.5) / (at_risk + 1)) / ((missing_clean + 0.5) / (clean + 1))


def contactable_share(contactable: int, completed: int) -> float | None:
    """Of the completed orders, the share with somebody to ask."""
    return _share(contactable, completed)


# --- the answer comes from staff ----------------------------------------------------------------------------


def effective_phones(invites_per_phone: Iterable[int]) -> float | None:
    """How many phones there would be if all were asked alike: ``(sum m)^2 / sum m^2``, m invites a phone."""
    invites = list(invites_per_phone)
    squares = sum(m * m for m in invites)
    return sum(invites) ** 2 / squares if squares else None


def is_shared_phone(accounts: int) -> bool:
    """Does one phone answer for that many accounts' worth of customers?"""
    return accounts >= SHARED_PHONE_ACCOUNTS


def shared_phone_share(invites_to_shared: int, invites: int) -> float | None:
    """Of the invites, the share that went to shared phones."""
    return _share(invites_to_shared, invites)


def _share(part: int, whole: int) -> float | None:
    return part / whole if whole > 0 else None
