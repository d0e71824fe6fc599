"""Twilio's request signature, over the configured public address and all parameters (twilio.com/docs/usage/security).

The address that a request claims is not used: proxies change it, and a forger chooses it.
"""

import hmac
from collections.abc import Mapping, Sequence

from twilio.request_validator import RequestValidator  # type: ignore[import-untyped]

HEADER = "x-twilio-signature"


def is_signed(address: str, parameters: Mapping[str, str], signature: str, auth_tokens: Sequence[str]) -> bool:
    """Whether one of the tokens made this signature. Every token is checked, in constant time."""
    matches = [_matches(token, address, parameters, signature) for token in auth_tokens]
    return any(matches)


def _matches(token: str, address: str, parameters: Mapping[str, str], signature: str) -> bool:
    expected = RequestValidator(token).compute_signature(address, parameters)
    return hmac.compare_digest(expected.encode(), signature.encode("utf-8", "replace"))
