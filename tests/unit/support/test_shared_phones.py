"""Phones that answer for several accounts, as the reference file measures them."""

from tests.support.shared_phones import shared_phone_share


def test_a_share_of_zero_invites_is_none() -> None:
    assert shared_phone_share(2, 8) == 0.25
    assert shared_phone_share(0, 0) is None
