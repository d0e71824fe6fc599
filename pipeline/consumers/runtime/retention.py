"""Deletes expired rows, a few thousand a transaction, so that nothing waits for it. Counts corrections that are due."""

import logging
from collections.abc import Callable
from datetime import datetime, timedelta
from typing import NamedTuple

from sqlalchemy import Connection

from pipeline import metrics
from pipeline.consumers import corrections
from pipeline.consumers.runtime.background import Background
from pipeline.consumers.runtime.retries import is_transient
from pipeline.domain.detection.segments import Level
from pipeline.domain.detection.source_silence import PAST
from pipeline.store.db.engine import scrub
from pipeline.store.evidence import sources
from pipeline.store.journal import retention
from pipeline.store.notices import notices
from pipeline.store.people import erasure
from pipeline.store.store import Store

_ROWS = 2_000  # a transaction
_PERSONS = 100  # that are erased because no event names them any more, each time
_EVERY_SECONDS = 3_600.0
_log = logging.getLogger(__name__)


class Ages(NamedTuple):
    """How long rows are kept."""

    dead_letters: timedelta
    handled: timedelta
    texts: timedelta = timedelta(days=365)  # of numbers that were never asked
    notices: timedelta = timedelta(days=90)
    persons: timedelta | None = None  # since an event named them; None: for good


class Deleted(NamedTuple):
    """The number of rows deleted, by table, and of persons erased."""

    dead_letters: int
    handled: int
    texts: int = 0
    notices: int = 0
    erased: int = 0
    slots: int = 0


def delete_expired(
    store: Store,
    levels: tuple[Level, ...],
    ages: Ages,
    now: datetime,
    goes_on: Callable[[], bool] = lambda: True,
    rows: int = _ROWS,
) -> Deleted:
    """Delete everything that is older, and carry out the erasures that are due, as long as `goes_on`.

    Returns and counts what was deleted.
    """

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
        _delete("texts", ages.texts, erasure.forget_strangers),
        _delete("notices", ages.notices, notices.delete_expired),
        _erase(store, levels, ages, now, goes_on),
        _delete("source_slots", PAST, sources.delete_expired),
    )


def _erase(store: Store, levels: tuple[Level, ...], ages: Ages, now: datetime, goes_on: Callable[[], bool]) -> int:
    """Carry out erasures whose time has come, each in its own transaction. Returns their number."""
    with store.engine.begin() as connection:
        if ages.persons is not None:
            erasure.request_forgotten(connection, retention.trusted_time(connection, now) - ages.persons, _PERSONS, now)
        found = erasure.due(connection, now)
    for done, waiting in enumerate(found):
        if not goes_on():
            return done
        with store.engine.begin() as connection:
            erasure.carry_out(connection, store, levels, waiting, None, now)
        metrics.EXPIRED.labels("persons").inc()
    if found:
        scrub(store.engine, erasure.SCRUBBED)
    return len(found)


class Retention(Background):
    """One thread that deletes expired rows at the start and once an hour."""

    def __init__(self, store: Store, levels: tuple[Level, ...], ages: Ages, now: Callable[[], datetime]) -> None:
        super().__init__("retention")
        self._store = store
        self._levels = levels
        self._ages = ages
        self._now = now

    def _work(self) -> None:
        goes_on = True
        while goes_on:
            try:
                deleted = delete_expired(self._store, self._levels, self._ages, self._now(), lambda: not self._stopping)
                corrections.count_waited(self._store, self._now())
            except Exception as error:
                if not is_transient(error):
                    raise
                _log.warning("expired rows are not deleted (%s), to be retried", type(error).__name__)
            else:
                if any(deleted):
                    _log.info(
                        "expired: %d dead letters, %d marks of handled events, %d texts, %d notices, %d persons, "
                        "%d slots of sources",
                        *deleted,
                    )
            goes_on = self._pause(_EVERY_SECONDS)
