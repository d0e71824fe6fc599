"""How often one address may be asked, whatever contacts and accounts it belongs to."""

from collections.abc import Sequence
from datetime import datetime, timedelta
from enum import Enum
from typing import NamedTuple

from pipeline.domain.asking.policy import Policy

DAY = timedelta(days=1)


class Rest(Enum):
    """Whose questions are the reason why an address is not asked now."""

    OWN_ACCOUNT = "own"
    OTHER_ACCOUNT = "other"


class AddressUse(NamedTuple):
    """One question to an address: the account it concerned, and when it was decided."""

    account_id: str
    at: datetime


def resting(uses: Sequence[AddressUse], account_id: str, policy: Policy, now: datetime) -> Rest | None:
    """Whether an address rests, or had its questions of a day; None: it may be asked on behalf of this account.

    `OTHER_ACCOUNT` if it could be asked but for the questions of other accounts.
    """
    if _may_not_be_asked([use.at for use in uses if use.account_id == account_id], policy, now):
        return Rest.OWN_ACCOUNT
    return Rest.OTHER_ACCOUNT if _may_not_be_asked([use.at for use in uses], policy, now) else None


def free_at(uses: Sequence[datetime], policy: Policy, now: datetime) -> datetime | None:
    """When the daily cap lets an address be asked again; None: now."""
    recent = sorted(at for at in uses if now - at < DAY)
    if not policy.address_daily_cap or len(recent) < policy.address_daily_cap:
        return None
    return recent[-policy.address_daily_cap] + DAY


def _may_not_be_asked(uses: Sequence[datetime], policy: Policy, now: datetime) -> bool:
    return any(now - at < policy.contact_rest for at in uses) or free_at(uses, policy, now) is not None
