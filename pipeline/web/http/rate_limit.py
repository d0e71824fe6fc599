"""Failed attempts at keys and links, counted by client address.

Only failed attempts count, and a valid key or link works however many attempts failed before: a whole office, or all
phones of a mobile network, may share one address.
"""

import math
import time
from ipaddress import IPv6Address, ip_address, ip_network
from typing import Any

from limits import RateLimitItemPerMinute
from limits.storage import MemoryStorage
from limits.strategies import FixedWindowRateLimiter
from litestar import Request
from litestar.connection import ASGIConnection

_MAX_ADDRESSES = 10_000  # counted separately, a few hundred bytes each; all further ones share one counter
_OTHERS = "others"


class FailedAttempts:
    """Counts failed attempts; `per_minute` of them are allowed from one address."""

    def __init__(self, per_minute: int) -> None:
        self._limit = RateLimitItemPerMinute(per_minute)
        self._counts = MemoryStorage()
        self._window = FixedWindowRateLimiter(self._counts)

    def exhausted(self, request: Request[Any, Any, Any]) -> bool:
        """Whether the next failed attempt from the request's address would exceed the limit."""
        return not self._window.test(self._limit, self._counter(request))

    def count(self, request: Request[Any, Any, Any]) -> int:
        """Count a failed attempt. Returns the seconds to wait if it exceeds the limit, else 0."""
        counter = self._counter(request)
        if self._window.hit(self._limit, counter):
            return 0
        reset = self._window.get_window_stats(self._limit, counter).reset_time
        return max(math.ceil(reset - time.time()), 1)

    def _counter(self, request: Request[Any, Any, Any]) -> str:
        address = client_address(request)
        known = self._counts.get(self._limit.key_for(address)) > 0
        return address if known or len(self._counts.storage) < _MAX_ADDRESSES else _OTHERS


def client_address(connection: ASGIConnection[Any, Any, Any, Any]) -> str:
    """What counts as one address: an IPv4 address, or the /64 network of an IPv6 address, which one subscriber owns."""
    host = connection.client.host if connection.client else ""
    try:
        address = ip_address(host)
    except ValueError:
        return host
    if not isinstance(address, IPv6Address):
        return host
    return str(address.ipv4_mapped or ip_network((address, 64), strict=False))
