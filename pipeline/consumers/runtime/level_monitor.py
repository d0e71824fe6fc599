"""Compares the number of segments of each level with its capacity, in metrics and in the log."""

import logging

from pipeline import metrics
from pipeline.consumers.runtime.background import Background
from pipeline.consumers.runtime.retries import is_transient
from pipeline.domain.setup import Setup
from pipeline.store.db.engine import reading
from pipeline.store.evidence import level_changes
from pipeline.store.reads.levels import level_uses
from pipeline.store.store import Store

_EVERY_SECONDS = 60.0
_log = logging.getLogger(__name__)


class LevelMonitor(Background):
    """One thread that counts the segments at the start and once a minute."""

    def __init__(self, store: Store, setup: Setup) -> None:
        super().__init__("level monitor")
        self._store = store
        self._setup = setup
        self._warned: set[tuple[str, int]] = set()

    def measure(self) -> None:
        """Count the segments and set the metrics. Logs once for each level and capacity that is exceeded."""
        with reading(self._store.engine) as connection:
            self._setup = self._setup.with_changes(level_changes.read(connection))
            uses = level_uses(connection, self._setup.levels)
        metrics.LEVEL_SEGMENTS.clear()
        metrics.LEVEL_CAPACITY.clear()
        for use in uses:
            metrics.LEVEL_SEGMENTS.labels(use.level).set(use.segments)
            metrics.LEVEL_CAPACITY.labels(use.level).set(use.capacity)
            if use.exceeded and (use.level, use.capacity) not in self._warned:
                self._warned.add((use.level, use.capacity))
                _log.warning(
                    "the level %s has %d segments and is configured for %d: its limit of false alerts does not hold; "
                    "to correct that: unvarnished levels add %s:%d",
                    use.level,
                    use.segments,
                    use.capacity,
                    *use.suggestion,
                )

    def _work(self) -> None:
        goes_on = True
        while goes_on:
            try:
                self.measure()
            except Exception as error:
                if not is_transient(error):
                    raise
            goes_on = self._pause(_EVERY_SECONDS)
