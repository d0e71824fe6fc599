"""Phones that answer for several accounts, as the reference file measures them."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from tests.support.shared_phones import effective_phones, is_shared_phone, shared_phone_share


def test_a_share_of_zero_invites_is_none() -> None:
    assert shared_phone_share(2, 8) == 0.25
    assert shared_phone_share(0, 0) is None
    assert effective_phones([]) is None


@given(st.lists(st.integers(1, 500), min_size=1, max_size=40))
def test_effective_phones_never_exceed_the_phones(invites: list[int]) -> None:
    effective = effective_phones(invites)

    assert effective is not None
    assert 1.0 <= effective <= len(invites) + 1e-9
    assert effective_phones([7] * len(invites)) == pytest.approx(len(invites))


def test_a_phone_is_shared_from_three_accounts_on() -> None:
    assert not is_shared_phone(2)
    assert is_shared_phone(3)
