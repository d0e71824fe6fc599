"""Deletes expired rows, a few thousand a transaction, so that nothing waits for it."""

import logging
from collections.abc import Callable
from datetime import datetime, timedelta
from typing import NamedTuple

from sqlalchemy import Connection

from pipeline import metrics
from pipeline.consumers.runtime.background import Background
from pipeline.consumers.runtime.retries import is_transient
from pipeline.store.journal import retention
from pipeline.store.notices import notices
from pipeline.store.store import Store

_ROWS = 2_000  # a transaction
_EVERY_SECONDS = 3_600.0
_log = logging.getLogger(__name__)


class Ages(NamedTuple):
    """How long rows are kept."""

    dead_letters: timedelta
    handled: timedelta
    notices: timedelta = timedelta(days=90)


class Deleted(NamedTuple):
    """The number of rows deleted, by table."""

    dead_letters: int
    handled: int
    notices: int = 0


def delete_expired(
    store: Store, ages: Ages, now: datetime, goes_on: Callable[[], bool] = lambda: True, rows: int = _ROWS
) -> Deleted:
    """Delete everything that is older, as long as `goes_on`. Returns and counts what was deleted."""

    def _delete(table: str, age: timedelta, delete: Callable[[Connection, datetime, int], int]) -> int:
        total, n = 0, rows
        while n == rows and goes_on():
            with store.engine.begin() as connection:
                n = delete(connection, retention.trusted_time(connection, now) - age, rows)
            metrics.EXPIRED.labels(table).inc(n)
            total += n
        return total

    return Deleted(
        _delete("dead_letters", ages.dead_letters, retention.delete_dead_letters),
        _delete("handled", ages.handled, retention.delete_handled),
        _delete("notices", ages.notices, notices.delete_expired),
    )


class Retention(Background):
    """One thread that deletes expired rows at the start and once an hour."""

    def __init__(self, store: Store, ages: Ages, now: Callable[[], datetime]) -> None:
        super().__init__("retention")
        self._store = store
        self._ages = ages
        self._now = now

    def _work(self) -> None:
        goes_on = True
        while goes_on:
            try:
                deleted = delete_expired(self._store, self._ages, self._now(), lambda: not self._stopping)
            except Exception as error:
                if not is_transient(error):
                    raise
                _log.warning("expired rows are not deleted (%s), to be retried", type(error).__name__)
            else:
                if any(deleted):
                    _log.info("expired rows deleted: %d dead letters, %d marks of handled events, %d notices", *deleted)
            goes_on = self._pause(_EVERY_SECONDS)
