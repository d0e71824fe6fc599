"""Random values that are shown once. The database has only their digests."""

import secrets
from hashlib import sha256

TOKEN_PREFIX = "unvt_"  # noqa: S105 - lets secret scanners recognise an API token of a user


def new_secret(prefix: str = "") -> str:
    """A new value of 256 random bits."""
    return prefix + secrets.token_urlsafe(32)


def digest_of(secret: str) -> str:
    """What is stored of it. A plain hash suffices for 256 random bits."""
    return sha256(secret.encode()).hexdigest()
