"""The rule of two people: who counts as interested, and what a proposal waits for."""

import pytest

from pipeline.domain.access.permissions import Permission, Role
from pipeline.domain.access.principal import LOCAL, START_TOKEN, Principal, user_principal
from pipeline.domain.access.scopes import parse_scope
from pipeline.domain.access.two_people import (
    DAYS_WITHOUT_A_SECOND,
    Decision,
    Membership,
    decide_correction,
    is_interested,
    may_be_second,
)
from tests.support.builders import at

ORDER = Membership("A-1", {"region": "ARA", "depot": "Lyon"})


def user(name: str, role: Role, *scope: str) -> Principal:
    return user_principal(name, role, parse_scope(role, scope))


MANAGER = user("mia", Role.MANAGEMENT)
REGION = user("rolf", Role.OPERATIONS, "region=ARA")
OTHER_REGION = user("oda", Role.OPERATIONS, "region=HDF")
ALL_REGIONS = user("all", Role.OPERATIONS)
ACCOUNT = user("ann", Role.ACCOUNT_MANAGER, "account=A-1")
AUDITOR = user("audit", Role.AUDITOR)


def test_who_is_measured_by_an_order_is_interested_in_it() -> None:
    assert all(is_interested(who, ORDER) for who in (REGION, ALL_REGIONS, ACCOUNT, LOCAL, START_TOKEN))
    assert not any(is_interested(who, ORDER) for who in (MANAGER, OTHER_REGION, AUDITOR))


def test_the_second_is_another_user_who_may_do_it_and_is_not_interested() -> None:
    for who in (REGION, ALL_REGIONS, ACCOUNT, OTHER_REGION, AUDITOR, LOCAL, START_TOKEN):
        assert not may_be_second(who, Permission.CORRECT, "rolf", ORDER), who.name
    assert may_be_second(MANAGER, Permission.CORRECT, "rolf", ORDER)
    assert not may_be_second(MANAGER, Permission.CORRECT, "mia", ORDER), "nobody confirms themselves"
    token = MANAGER.narrowed(Role.MANAGEMENT, MANAGER.scope)
    assert may_be_second(token, Permission.CORRECT, "rolf", ORDER)
    assert not may_be_second(token, Permission.CORRECT, "mia", ORDER), "nor by a token of theirs"


def test_a_correction_counts_at_once_if_its_author_has_no_stake() -> None:
    assert decide_correction(MANAGER, ORDER, [REGION], at()) == Decision("counts")
    assert decide_correction(REGION, ORDER, [MANAGER], at()) == Decision("waits_for_second")


@pytest.mark.parametrize("users", [[], [REGION], [ALL_REGIONS, ACCOUNT, AUDITOR]])
def test_without_a_second_it_takes_effect_after_seven_days(users: list[Principal]) -> None:
    due = Decision("waits_seven_days", at() + DAYS_WITHOUT_A_SECOND)
    assert decide_correction(REGION, ORDER, users, at()) == due
    assert decide_correction(LOCAL, ORDER, users, at()) == due
