"""Passwords of local accounts: argon2id, checked with the same effort whether the account exists or not."""

import secrets
from base64 import b64encode

from anyio import CapacityLimiter, to_thread
from argon2 import PasswordHasher
from argon2.exceptions import InvalidHashError, VerificationError

MIN_LENGTH, MAX_LENGTH = 12, 200  # characters
_AT_ONCE = 2  # checks; each takes 64 MiB and a tenth of a second


class Passwords:
    """Hashes and checks passwords, a few at a time."""

    def __init__(self) -> None:
        self._hasher = PasswordHasher()
        self._limiter = CapacityLimiter(_AT_ONCE)
        self._nobody = _of_nobody(self._hasher)

    async def hash(self, password: str) -> str:
        """The hash of a new password, with its parameters."""
        return await to_thread.run_sync(self._hasher.hash, password, limiter=self._limiter)

    async def matches(self, stored: str | None, password: str) -> bool:
        """Whether a password is the one that was hashed; `stored` None: there is none, so never."""
        checked = await to_thread.run_sync(self._verify, stored or self._nobody, password, limiter=self._limiter)
        return checked and stored is not None

    def outdated(self, stored: str) -> bool:
        """Whether a hash was made with weaker parameters than today's."""
        return self._hasher.check_needs_rehash(stored)

    def _verify(self, stored: str, password: str) -> bool:
        try:
            return self._hasher.verify(stored, password[: MAX_LENGTH + 1])
        except (VerificationError, InvalidHashError):
            return False


def _of_nobody(hasher: PasswordHasher) -> str:
    """What an account without a password is checked against: as laborious as any hash, and no password matches it."""
    cost = f"m={hasher.memory_cost},t={hasher.time_cost},p={hasher.parallelism}"
    salt, digest = (b64encode(secrets.token_bytes(n)).decode().rstrip("=") for n in (hasher.salt_len, hasher.hash_len))
    return f"$argon2id$v=19${cost}${salt}${digest}"


def why_unusable(password: str, name: str) -> str | None:
    """Why a new password is refused, as a sentence; None if it can be used."""
    if not MIN_LENGTH <= len(password) <= MAX_LENGTH:
        return f"A password has {MIN_LENGTH} to {MAX_LENGTH} characters."
    if password.strip().casefold() == name.casefold() or len(set(password)) < 5:
        return "This password is too easy to guess."
    return None
