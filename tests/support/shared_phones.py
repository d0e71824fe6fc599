"""Shared phones as the reference file measures them: phones that answer for several accounts, so probably staff's.

The product does not show these figures; the reference file contains them nevertheless.
"""

from collections.abc import Iterable

SHARED_PHONE_ACCOUNTS = 3
"""From this number of accounts on, a phone is assumed to belong to a depot or driver, not to a customer."""


def effective_phones(invites_per_phone: Iterable[int]) -> float | None:
    """The number of phones if all were asked equally often: ``(sum m)^2 / sum m^2``, m invites per phone."""
    invites = list(invites_per_phone)
    squares = sum(m * m for m in invites)
    return sum(invites) ** 2 / squares if squares else None


def is_shared_phone(accounts: int) -> bool:
    """Whether a phone that answers for so many accounts counts as shared."""
    return accounts >= SHARED_PHONE_ACCOUNTS


def shared_phone_share(invites_to_shared: int, invites: int) -> float | None:
    """Of the invites, the share that went to shared phones."""
    return invites_to_shared / invites if invites > 0 else None
