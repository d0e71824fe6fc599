"""How often one address may be asked: the rest, the daily cap, and whose questions are the reason."""

from datetime import timedelta

import pytest
from hypothesis import given
from hypothesis import strategies as st

from pipeline.domain.asking.address_rest import DAY, AddressUse, Rest, free_at, resting
from pipeline.domain.asking.policy import Policy
from tests.support.builders import at

NOW = at(days=20)
NO_REST = Policy(contact_rest=timedelta(0), address_daily_cap=2)


def uses(*hours_ago: float, account: str = "A-1") -> list[AddressUse]:
    return [AddressUse(account, NOW - timedelta(hours=hours)) for hours in hours_ago]


@pytest.mark.parametrize(
    ("found", "expected"),
    [
        ([], None),
        (uses(24 * 7), None),
        (uses(24 * 7 - 1), Rest.OWN_ACCOUNT),
        (uses(24 * 7 - 1, account="A-2"), Rest.OTHER_ACCOUNT),
        (uses(1, account="A-2") + uses(2), Rest.OWN_ACCOUNT),
    ],
)
def test_an_address_rests_whoever_asked_it(found: list[AddressUse], expected: Rest | None) -> None:
    assert resting(found, "A-1", Policy(), NOW) is expected


@pytest.mark.parametrize(
    ("found", "expected"),
    [
        (uses(1), None),
        (uses(1, 23), Rest.OWN_ACCOUNT),
        (uses(1, 24), None),
        (uses(1) + uses(2, account="A-2"), Rest.OTHER_ACCOUNT),
        (uses(1, 2, account="A-2"), Rest.OTHER_ACCOUNT),
    ],
)
def test_a_daily_cap_counts_all_accounts(found: list[AddressUse], expected: Rest | None) -> None:
    assert resting(found, "A-1", NO_REST, NOW) is expected


def test_without_rest_and_cap_an_address_is_always_free() -> None:
    found = uses(0, 0, 0, 1, 1)
    assert resting(found, "A-1", Policy(contact_rest=timedelta(0), address_daily_cap=0), NOW) is None


@given(st.lists(st.floats(0, 72), max_size=8), st.integers(1, 4))
def test_an_address_is_free_as_soon_as_its_day_has_room(hours_ago: list[float], cap: int) -> None:
    policy = Policy(contact_rest=timedelta(0), address_daily_cap=cap)
    moments = [use.at for use in uses(*hours_ago)]
    later = free_at(moments, policy, NOW)
    if later is None:
        assert sum(NOW - moment < DAY for moment in moments) < cap
        return
    assert NOW < later <= NOW + DAY
    assert free_at(moments, policy, later) is None
    assert free_at(moments, policy, later - timedelta(microseconds=1)) is not None
