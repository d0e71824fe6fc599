"""How many notices are claimed for one receiver at a time, and how many of them are sent simultaneously."""

import asyncio

_MOST = 256  # claimed at a time for a receiver that accepts what it gets


class Lane:
    """One receiver's limits.

    A transaction that claims eight notices costs as much as one that claims hundreds, so after each attempt that
    succeeds twice as many are claimed ahead of their attempts. After one that fails, only as many as are sent
    simultaneously: what is claimed waits for the end of its lease if the process dies.
    """

    def __init__(self, concurrency: int) -> None:
        """`concurrency`: how many attempts are in flight at most."""
        self.free = asyncio.Semaphore(concurrency)
        self._concurrency = self._window = concurrency
        self._claimed = 0

    def room(self) -> int:
        """How many to claim now. 0 while half of those claimed are still to be sent: few large claims are cheaper."""
        free = self._window - self._claimed
        return free if 2 * free >= self._window else 0

    def claim(self, n: int) -> None:
        """Count notices that were claimed."""
        self._claimed += n

    def finish(self, n: int, delivered: bool) -> None:
        """Count claimed notices that were attempted or released."""
        self._claimed -= n
        self._window = min(2 * self._window, max(_MOST, self._concurrency)) if delivered else self._concurrency
