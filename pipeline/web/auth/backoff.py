"""Waits after failed sign-ins: per account, per address, and per browser that has signed in before.

The rightful user is not locked out. A browser that has signed in to the account has a count of its own, so neither
failures elsewhere nor those of others at the same address delay it. Accounts that do not exist are counted like those
that do. An attempt is counted before its password is checked, so that many at once are not more than many in a row.
"""

import math
import time
from collections import OrderedDict
from collections.abc import Callable, Sequence

_MAX_WAIT = 900.0  # seconds
_FORGOTTEN = 4 * _MAX_WAIT  # seconds without a failure after which a count starts again
_MAX_COUNTS = 20_000  # a hundred bytes each; the one that failed longest ago makes room
_Key = tuple[str, ...]


class Backoff:
    """Counts failures by key in this process. `free`: failures without a wait."""

    def __init__(self, free: int, clock: Callable[[], float] = time.monotonic) -> None:
        self._free = free
        self._clock = clock
        self._counts: OrderedDict[_Key, tuple[int, float]] = OrderedDict()  # failures, and the time of the last one

    def wait(self, keys: Sequence[_Key]) -> int:
        """Seconds until the next attempt with these keys; 0: now. A refused attempt does not count."""
        return max(map(self._wait, keys), default=0)

    def count(self, keys: Sequence[_Key]) -> None:
        """Count an attempt, which `undo` takes back if it succeeds."""
        for key in keys:
            self._counts[key] = (self._failures(key) + 1, self._clock())
            self._counts.move_to_end(key)
        while len(self._counts) > _MAX_COUNTS:
            self._counts.popitem(last=False)

    def undo(self, keys: Sequence[_Key]) -> None:
        """Take back the count of an attempt that succeeded. Earlier failures stay counted."""
        for key in keys:
            failures, last = self._counts.get(key, (0, 0.0))
            if failures > 1:
                self._counts[key] = (failures - 1, last)
            else:
                self._counts.pop(key, None)

    def _failures(self, key: _Key) -> int:
        failures, last = self._counts.get(key, (0, 0.0))
        return failures if self._clock() - last < _FORGOTTEN else 0

    def _wait(self, key: _Key) -> int:
        over = self._failures(key) - self._free
        if over < 0:
            return 0
        wait = min(2.0 ** min(over, 20), _MAX_WAIT) - (self._clock() - self._counts[key][1])
        return max(math.ceil(wait), 0)


def keys_of(address: str, folded_name: str, device: str | None) -> list[_Key]:
    """What an attempt is counted by."""
    if device is not None:
        return [("device", folded_name, device)]
    return [("address", address), ("account", folded_name)]
