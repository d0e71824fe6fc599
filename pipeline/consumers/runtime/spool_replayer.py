"""Takes what waits in the spool into the database as soon as that is back, oldest first."""

import logging
from collections.abc import Callable

from sqlalchemy import Connection, Engine

from pipeline.consumers.runtime.background import Background, frames
from pipeline.consumers.runtime.embedded import passes
from pipeline.store.journal.spool import Spool

_POLL_SECONDS = 1.0  # how late it may notice that the database is back
_log = logging.getLogger(__name__)


class Drain(Background):
    """One thread that empties a spool: a transaction each, the file is removed once that is committed.

    `take` does in the transaction what should have been done at once; it may be given the same again. What it fails on
    otherwise than by trouble that passes is set aside, so that the others get through. `told` is called after each.
    """

    def __init__(
        self, spool: Spool, engine: Engine, take: Callable[[Connection, bytes], None], told: Callable[[], object]
    ) -> None:
        super().__init__("drain")
        self._spool = spool
        self._engine = engine
        self._do = take
        self._told = told

    def run_once(self) -> None:
        """Take in whatever waits, until the database is away. Not beside `start`."""
        while keys := self._spool.waiting():
            for key in keys:
                if self._stopping or not self._take(key):
                    return

    def _work(self) -> None:
        self.run_once()  # what an earlier process left
        while self._pause(_POLL_SECONDS):
            self.run_once()

    def _take(self, key: str) -> bool:
        """Take one in. False: the database is away."""
        try:
            with self._engine.begin() as connection:
                self._do(connection, self._spool.read(key))
            self._spool.remove(key)
        except Exception as error:
            if passes(error):
                return False
            _log.error("a call in the spool cannot be taken in and is set aside, %s: %s", key, frames(error))
            self._spool.set_aside(key)
        else:
            self._told()
        return True
