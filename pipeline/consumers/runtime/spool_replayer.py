"""Replays the provider's calls that were spooled while the database was unavailable, oldest first."""

import logging
from collections.abc import Callable

from sqlalchemy import Connection, Engine

from pipeline.consumers.runtime.background import Background, stack_frames
from pipeline.consumers.runtime.retries import is_transient
from pipeline.store.journal.spool import Spool

_POLL_SECONDS = 1.0  # how late it may notice that the database is available again
_log = logging.getLogger(__name__)


class SpoolReplayer(Background):
    """One thread that empties a spool: one transaction a call, and its file is removed after the commit.

    `handle` has the same effect as the call itself would have had; it may receive the same call twice. A call on which
    it fails for good is set aside, so that the others are handled. `on_committed` is called after each.
    """

    def __init__(
        self,
        spool: Spool,
        engine: Engine,
        handle: Callable[[Connection, bytes], None],
        on_committed: Callable[[], object],
    ) -> None:
        super().__init__("spool replayer")
        self._spool = spool
        self._engine = engine
        self._handle = handle
        self._on_committed = on_committed

    def run_once(self) -> None:
        """Replay all that is in the spool, until the database is unavailable. Not together with `start`."""
        while keys := self._spool.waiting():
            for key in keys:
                if self._stopping or not self._replay(key):
                    return

    def _work(self) -> None:
        self.run_once()  # what an earlier process left
        while self._pause(_POLL_SECONDS):
            self.run_once()

    def _replay(self, key: str) -> bool:
        """Replay one call. False: the database is unavailable."""
        try:
            with self._engine.begin() as connection:
                self._handle(connection, self._spool.read(key))
            self._spool.remove(key)
        except Exception as error:
            if is_transient(error):
                return False
            _log.error("a spooled call cannot be handled and is set aside, %s: %s", key, stack_frames(error))
            self._spool.set_aside(key)
        else:
            self._on_committed()
        return True
