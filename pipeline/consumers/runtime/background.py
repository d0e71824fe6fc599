"""A thread that runs until it is stopped, and whose crash stops the process."""

import logging
import threading
import traceback
from concurrent.futures import Future

_log = logging.getLogger(__name__)


class Background:
    """Runs `_work` in a thread of its own.

    `ended` is resolved when the thread ends, with an exception if a bug ended it: then the process has to stop, too.
    """

    def __init__(self, name: str) -> None:
        self.name = name
        self.ended: Future[None] = Future()
        self._changed = threading.Condition()
        self._stopping = False
        self._thread = threading.Thread(target=self._run, name=name, daemon=True)

    def start(self) -> None:
        """Start the thread."""
        self._thread.start()

    def stop(self) -> None:
        """Have the thread complete what it has begun, and wait until it has ended."""
        with self._changed:
            self._stopping = True
            self._changed.notify()
        if self._thread.ident is not None:
            self._thread.join()

    @property
    def alive(self) -> bool:
        """Whether the thread runs."""
        return self._thread.is_alive() and not self.ended.done()

    def _work(self) -> None:
        """Work until `_stopping` is set."""
        raise NotImplementedError

    def _pause(self, seconds: float | None) -> bool:
        """Wait for at most `seconds`, without limit if None. Returns False if the thread has to end."""
        with self._changed:
            return not self._changed.wait_for(lambda: self._stopping, seconds)

    def _run(self) -> None:
        try:
            self._work()
        except BaseException as bug:
            _log.critical("the %s ends: %s", self.name, stack_frames(bug))
            self._end(bug)
        else:
            self._end(None)

    def _end(self, bug: BaseException | None) -> None:
        if bug is None:
            self.ended.set_result(None)
        else:
            self.ended.set_exception(bug)


def stack_frames(error: BaseException) -> str:
    """An error's type and stack, without its message, which may hold personal data."""
    return f"{type(error).__name__}\n" + "".join(traceback.format_tb(error.__traceback__))
