"""A lock that is given in the order in which it was asked for.

SQLite lets one writer in at a time, but whoever finds it busy sleeps and looks again, up to a tenth of a second later,
while those who come at the right moment pass by: a few writers are enough to make one of them wait for long.
"""

import threading
from collections import deque


class Turns:
    """Whose turn it is among the threads of this process."""

    def __init__(self) -> None:
        self._mutex = threading.Lock()
        self._waiting: deque[threading.Lock] = deque()
        self._taken = False

    @property
    def waiting(self) -> int:
        """How many wait for their turn."""
        with self._mutex:
            return len(self._waiting)

    def take(self, seconds: float) -> bool:
        """Wait for one's turn. False: it did not come in time."""
        with self._mutex:
            if not self._taken:
                self._taken = True
                return True
            mine = threading.Lock()
            mine.acquire()
            self._waiting.append(mine)
        if mine.acquire(timeout=seconds):
            return True
        with self._mutex:
            if mine not in self._waiting:
                return True  # it came in the very last moment
            self._waiting.remove(mine)
            return False

    def pass_on(self) -> None:
        """The next one's turn. To be called by whoever has it, or for them."""
        with self._mutex:
            if self._waiting:
                self._waiting.popleft().release()
            else:
                self._taken = False
