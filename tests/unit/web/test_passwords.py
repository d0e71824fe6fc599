"""Checking passwords: an account that does not exist takes as long as one that does."""

import pytest
from argon2 import PasswordHasher
from argon2.exceptions import VerifyMismatchError

from pipeline.web.auth.passwords import _of_nobody


@pytest.mark.parametrize("hasher", [PasswordHasher(), PasswordHasher(1, 64, 2, hash_len=20, salt_len=8)])
def test_what_nobody_is_checked_against_is_a_hash_of_the_same_cost(hasher: PasswordHasher) -> None:
    """A text that is no hash would be refused at once, which shows that there is no such account."""
    of_nobody = _of_nobody(hasher)
    assert not hasher.check_needs_rehash(of_nobody)
    assert of_nobody != _of_nobody(hasher)
    with pytest.raises(VerifyMismatchError):
        hasher.verify(of_nobody, "")
