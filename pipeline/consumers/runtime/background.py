"""A thread of ours that goes on until it is told to stop, and whose end by a bug nobody can overlook."""

import logging
import threading
import traceback
from concurrent.futures import Future

_log = logging.getLogger(__name__)


class Background:
    """Does its `_work` beside everybody else's. `ended` gets the bug that stopped it, and the process has to follow."""

    def __init__(self, name: str) -> None:
        self.name = name
        self.ended: Future[None] = Future()
        self._changed = threading.Condition()
        self._stopping = False
        self._thread = threading.Thread(target=self._run, name=name, daemon=True)

    def start(self) -> None:
        """Begin."""
        self._thread.start()

    def stop(self) -> None:
        """Finish what was begun, begin nothing more, and end."""
        with self._changed:
            self._stopping = True
            self._changed.notify()
        if self._thread.ident is not None:
            self._thread.join()

    @property
    def alive(self) -> bool:
        """Whether it works."""
        return self._thread.is_alive() and not self.ended.done()

    def _work(self) -> None:
        """What it does until `_stopping`."""
        raise NotImplementedError

    def _pause(self, seconds: float | None) -> bool:
        """Wait so long at most, without an end if None. False: it is time to end."""
        with self._changed:
            return not self._changed.wait_for(lambda: self._stopping, seconds)

    def _run(self) -> None:
        try:
            self._work()
        except BaseException as bug:
            _log.critical("the %s ends: %s", self.name, frames(bug))
            self._end(bug)
        else:
            self._end(None)

    def _end(self, bug: BaseException | None) -> None:
        if bug is None:
            self.ended.set_result(None)
        else:
            self.ended.set_exception(bug)


def frames(error: BaseException) -> str:
    """An error's type and where it came from, without its message: that may hold what an event said."""
    return f"{type(error).__name__}\n" + "".join(traceback.format_tb(error.__traceback__))
