"""Wrong guesses at what opens a door, counted by the address they come from.

Only wrong ones count, and whoever has the right one is let in however many were wrong before: a whole office, or the
phones of a whole mobile network, may stand behind one address.
"""

import math
import time
from ipaddress import IPv6Address, ip_address, ip_network
from typing import Any

from limits import RateLimitItemPerMinute
from limits.storage import MemoryStorage
from limits.strategies import FixedWindowRateLimiter
from litestar import Request

_MOST_ADDRESSES = 10_000  # counted at a time, a few hundred bytes each; all further ones are counted as one
_OTHERS = "others"


class WrongGuesses:
    """Counts wrong guesses; so many a minute from one address are answered like any other."""

    def __init__(self, a_minute: int) -> None:
        self._limit = RateLimitItemPerMinute(a_minute)
        self._counts = MemoryStorage()
        self._window = FixedWindowRateLimiter(self._counts)

    def exhausted(self, request: Request[Any, Any, Any]) -> bool:
        """Whether the next wrong guess from there would be one too many."""
        return not self._window.test(self._limit, self._who(request))

    def count(self, request: Request[Any, Any, Any]) -> int:
        """Count a wrong guess. Returns the seconds to wait if it was one too many, else 0."""
        who = self._who(request)
        if self._window.hit(self._limit, who):
            return 0
        reset = self._window.get_window_stats(self._limit, who).reset_time
        return max(math.ceil(reset - time.time()), 1)

    def _who(self, request: Request[Any, Any, Any]) -> str:
        address = _address(request.client.host if request.client else "")
        known = self._counts.get(self._limit.key_for(address)) > 0
        return address if known or len(self._counts.storage) < _MOST_ADDRESSES else _OTHERS


def _address(host: str) -> str:
    """Who is counted as one: an IPv4 address, or the network of an IPv6 address, which one subscriber has whole."""
    try:
        address = ip_address(host)
    except ValueError:
        return host
    if not isinstance(address, IPv6Address):
        return host
    return str(address.ipv4_mapped or ip_network((address, 64), strict=False))
