"""The rule of two people: who may make an erasure or a correction count, and when.

A user is interested in an order if a scope of theirs contains it. Whoever is measured by the answers has a reason to
change or remove them; so the second person is one whom no scope ties to the order.
"""

from collections.abc import Iterable
from datetime import datetime, timedelta
from typing import Literal, NamedTuple

from pipeline.domain.access.permissions import ROLES, Permission, ScopeKind
from pipeline.domain.access.principal import Principal, PrincipalKind

DAYS_WITHOUT_A_SECOND = timedelta(days=7)
Outcome = Literal["counts", "waits_for_second", "waits_seven_days"]


class Membership(NamedTuple):
    """What decides whether a scope contains an order: its account and its dimensions."""

    account_id: str
    dimensions: dict[str, str]


class Decision(NamedTuple):
    """What happens to a proposal. `due_at`: when it takes effect although nobody confirms it; None: never."""

    outcome: Outcome
    due_at: datetime | None = None


def is_interested(who: Principal, order: Membership) -> bool:
    """Whether an operations or account-manager scope of theirs contains the order.

    An operations user without a scope is interested in all orders, management in none. Who acts without being a user
    (a command on the server, the start token) could be anybody, so they count as interested.
    """
    if who.role is None:
        return True
    if ROLES[who.role].scope is ScopeKind.NONE:
        return False
    return who.scope.sees_order(order.account_id, order.dimensions)


def may_be_second(who: Principal, permission: Permission, first: str, order: Membership) -> bool:
    """Whether they may confirm what `first` (a name) proposed about the order: another user, who is not interested."""
    return (
        who.kind in (PrincipalKind.USER, PrincipalKind.API_TOKEN)
        and who.name != first
        and who.may(permission)
        and who.scope.sees_order(order.account_id, order.dimensions)
        and not is_interested(who, order)
    )


def decide_correction(author: Principal, order: Membership, users: Iterable[Principal], now: datetime) -> Decision:
    """What happens to a correction: it counts at once if its author is a user who is not interested."""
    if not is_interested(author, order):
        return Decision("counts")
    if any(may_be_second(user, Permission.CORRECT, author.name, order) for user in users):
        return Decision("waits_for_second")
    return Decision("waits_seven_days", now + DAYS_WITHOUT_A_SECOND)
