"""A lock that threads get in the order in which they asked for it.

SQLite lets one writer in at a time. A writer that finds the database busy sleeps for up to a tenth of a second before
it tries again. Others get in meanwhile: with a few writers, one of them would wait for long.
"""

import threading
from collections import deque


class FairLock:
    """Shared by the threads of this process, first come, first served."""

    def __init__(self) -> None:
        self._mutex = threading.Lock()
        self._waiting: deque[threading.Lock] = deque()
        self._held = False

    @property
    def waiting(self) -> int:
        """How many threads wait for it."""
        with self._mutex:
            return len(self._waiting)

    def acquire(self, seconds: float) -> bool:
        """Wait for the lock for at most so many seconds. Returns whether this thread got it."""
        with self._mutex:
            if not self._held:
                self._held = True
                return True
            mine = threading.Lock()
            mine.acquire()
            self._waiting.append(mine)
        if mine.acquire(timeout=seconds):
            return True
        with self._mutex:
            if mine not in self._waiting:
                return True  # it was handed over at the last moment
            self._waiting.remove(mine)
            return False

    def release(self) -> None:
        """Hand the lock over to the thread that has waited longest. Any thread may call this for its holder."""
        with self._mutex:
            if self._waiting:
                self._waiting.popleft().release()
            else:
                self._held = False
