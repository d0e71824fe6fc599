"""Bearer tokens in the `Authorization` header (RFC 6750)."""

_SCHEME = "bearer "


def bearer_token(authorization: str) -> str | None:
    """The token of an `Authorization` header; None if the header has another scheme or is empty."""
    if authorization[: len(_SCHEME)].lower() != _SCHEME:
        return None
    return authorization[len(_SCHEME) :].strip()
