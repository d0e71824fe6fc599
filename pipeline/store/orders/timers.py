"""Work that becomes due: stored, so that it survives a restart, and fired by the clock of the events."""

import heapq
from collections.abc import Iterable, Iterator, Sequence
from datetime import datetime
from typing import NamedTuple

from sqlalchemy import Connection, select, text

from pipeline.store.db.bulk import as_json, remove, upsert
from pipeline.store.schema.tables import timers

ASK_LOST = "ask_lost"  # set by a dispatcher: a question that was due will not be put


_KEY = ("kind", "order_id", "subject")


class Timer(NamedTuple):
    """One piece of work: sorted by when it is due, then by what it is, so that every run fires in the same order."""

    due_at: datetime
    kind: str
    order_id: str
    subject: str

    @property
    def key(self) -> tuple[str, str, str]:
        """What there is at most one timer of."""
        return (self.kind, self.order_id, self.subject)


_COLUMNS = (timers.c.due_at, timers.c.kind, timers.c.order_id, timers.c.subject)
_CLAIM = text(
    "DELETE FROM timers USING json_to_recordset(CAST(:keys AS json)) AS given(kind text, order_id text, subject text) "
    "WHERE timers.kind = given.kind AND timers.order_id = given.order_id AND timers.subject = given.subject "
    "AND timers.due_at <= :until RETURNING timers.due_at, timers.kind, timers.order_id, timers.subject"
).columns(*_COLUMNS)


def read_due(connection: Connection, until: datetime, limit: int | None = None) -> list[Timer]:
    """The timers due by then, oldest first."""
    query = select(*_COLUMNS).where(timers.c.due_at <= until).order_by(*_COLUMNS).limit(limit)
    return [Timer(*row) for row in connection.execute(query)]


def claim(connection: Connection, due: Sequence[Timer], until: datetime) -> list[Timer]:
    """Delete those of these timers that are still there and still due. Returns them, oldest first. PostgreSQL only."""
    if not due:
        return []
    keys = as_json([timer.key for timer in due], _KEY)
    return sorted(Timer(*row) for row in connection.execute(_CLAIM, {"keys": keys, "until": until}))


class TimerStore:
    """The timers of one transaction: those of `found` that are due by `until` fire in it, and others are set.

    None is set to a time before `earliest`, where whoever fires it has no other clock than its own time.
    """

    def __init__(self, connection: Connection, found: Iterable[Timer], until: datetime) -> None:
        self._connection = connection
        self._until = until
        self._heap = list(found)
        heapq.heapify(self._heap)
        self._live: dict[tuple[str, str, str], Timer] = {timer.key: timer for timer in self._heap}
        self.earliest: datetime | None = None
        self._set: dict[tuple[str, str, str], Timer] = {}
        self._gone: set[tuple[str, str, str]] = set()

    def order_ids(self) -> set[str]:
        """The orders that due timers speak of."""
        return {timer.order_id for timer in self._heap}

    def set(self, kind: str, order_id: str, subject: str, due_at: datetime) -> None:
        """Set a timer, or move the one of that kind, order and subject."""
        timer = Timer(due_at if self.earliest is None else max(due_at, self.earliest), kind, order_id, subject)
        self._set[timer.key] = timer
        self._gone.discard(timer.key)
        self._live.pop(timer.key, None)
        if timer.due_at <= self._until:
            self._live[timer.key] = timer
            heapq.heappush(self._heap, timer)

    def cancel(self, kind: str, order_id: str, subject: str) -> None:
        """Take a timer back, if there is one."""
        key = (kind, order_id, subject)
        self._live.pop(key, None)
        self._set.pop(key, None)
        self._gone.add(key)

    def due(self, now: datetime) -> Iterator[Timer]:
        """Take out what is due by `now`, oldest first; firing one may set another."""
        while self._heap and self._heap[0].due_at <= now:
            timer = heapq.heappop(self._heap)
            if self._live.get(timer.key) == timer:
                self.cancel(*timer.key)
                yield timer

    def flush(self) -> None:
        """Write what was set, moved, cancelled and fired."""
        remove(self._connection, timers, sorted(self._gone), _KEY)
        upsert(self._connection, timers, list(self._set.values()), Timer._fields)
