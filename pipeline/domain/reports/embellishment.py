"""Ways to make fulfilment look better than it was, each with the indicator that reveals it.

Predicates concern one order. Figures are computed from counts: the product counts per segment and day and never scans
the orders again. A figure without a denominator is None, not 0. Source of the formulas: docs/statistics.md, "Signs of
embellishment". All times carry an offset; shares are in [0, 1].
"""

from collections.abc import Iterable
from datetime import datetime, timedelta

EARLY_SCAN_TOLERANCE = timedelta(hours=2)
"""A customer who states "around noon" does not contradict a scan at 10:30."""
EARLY_SCAN_BASELINE = 0.02
"""Share of honest customers whose memory of the arrival contradicts the scan."""


# --- the promise is moved after it was missed ---------------------------------------------------------------


def was_missed(promised_at: datetime, delivered_at: datetime | None) -> bool:
    """Whether it was delivered after that promise; False if it was not delivered yet."""
    return delivered_at is not None and delivered_at > promised_at


def was_rescued(
    first_promise: datetime, moved_at: datetime | None, last_promise: datetime, delivered_at: datetime | None
) -> bool:
    """Whether it was late by the first promise, and on time by one made after the first had passed.

    `moved_at`: when the last promise was made; None if it is still the first one.
    """
    return (
        moved_at is not None
        and moved_at > first_promise
        and was_missed(first_promise, delivered_at)
        and not was_missed(last_promise, delivered_at)
    )


def rescue_share(rescued: int, missed: int) -> float | None:
    """Of the orders that missed their first promise, the share that became on time by moving it afterwards."""
    return _share(rescued, missed)


def on_time_share(missed: int, delivered: int) -> float | None:
    """Share of the deliveries that kept a promise, from the number of those that missed it."""
    return _share(delivered - missed, delivered)


def inflation(missed_first: int, missed_last: int, delivered: int) -> float | None:
    """Share on time by the last promise minus share on time by the first."""
    first, last = on_time_share(missed_first, delivered), on_time_share(missed_last, delivered)
    return None if first is None or last is None else last - first


# --- "delivered" is scanned too early ---------------------------------------------------------------------------


def was_scanned_early(
    scanned_at: datetime | None, stated_arrival: datetime | None, tolerance: timedelta = EARLY_SCAN_TOLERANCE
) -> bool | None:
    """Whether the goods arrived more than the tolerance after their scan; None unless both times are known."""
    if scanned_at is None or stated_arrival is None:
        return None
    return stated_arrival - scanned_at > tolerance


def early_scan_share(early: int, stated: int) -> float | None:
    """Of the arrivals that customers state, the share well after the scan."""
    return _share(early, stated)


# --- problem orders get no question -------------------------------------------------------------------------


def was_at_risk(first_promise: datetime, moved_at: datetime | None, delivered_at: datetime | None) -> bool:
    """Whether there is a motive to avoid a question: the promise was missed, or moved at any time."""
    return moved_at is not None or was_missed(first_promise, delivered_at)


def contact_missing_risk_ratio(missing_at_risk: int, at_risk: int, missing_clean: int, clean: int) -> float | None:
    """How many times as often an order at risk has no contact to ask: ``((a+1/2)/(b+1)) / ((c+1/2)/(d+1))``.

    The halves moderate small counts. None while one of the two groups is empty.
    """
    if at_risk <= 0 or clean <= 0:
        return None
    return ((missing_at_risk + 0.5) / (at_risk + 1)) / ((missing_clean + 0.5) / (clean + 1))


def contactable_share(contactable: int, completed: int) -> float | None:
    """Of the completed orders, the share with a contact who can be asked."""
    return _share(contactable, completed)


# --- staff answers in the customer's place ------------------------------------------------------------------

SHARED_ADDRESS_ACCOUNTS = 3
"""From this number of accounts on, an address probably belongs to a depot or a driver, not to a customer."""


def effective_addresses(messages: Iterable[int]) -> float | None:
    """How many addresses there would be if all were asked equally often: ``(sum m)^2 / sum m^2``.

    `messages`: the number of messages to each address. Far fewer than there are addresses: a few answer for many.
    """
    listed = list(messages)
    squares = sum(m * m for m in listed)
    return sum(listed) ** 2 / squares if squares else None


def is_shared_address(accounts: int) -> bool:
    """Whether an address that serves so many accounts counts as shared."""
    return accounts >= SHARED_ADDRESS_ACCOUNTS


def _share(part: int, whole: int) -> float | None:
    return part / whole if whole > 0 else None
