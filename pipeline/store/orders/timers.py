"""Timers: work that becomes due at a time. They survive a restart, and the time of events fires them."""

import heapq
from collections.abc import Iterable, Iterator, Sequence
from datetime import datetime
from typing import NamedTuple

from sqlalchemy import Connection, select, text

from pipeline.store.db.bulk import as_json, remove, upsert
from pipeline.store.schema.orders import timers

ASK_LOST = "ask_lost"  # set by a dispatcher: a due question will not be sent
REMINDER = "reminder"  # brought forward by a report that the first message failed for good

_KEY = ("kind", "order_id", "subject")


class Timer(NamedTuple):
    """One timer. Sorted by due time, then by key, so that every run fires timers in the same order."""

    due_at: datetime
    kind: str
    order_id: str
    subject: str

    @property
    def key(self) -> tuple[str, str, str]:
        """The key: there is at most one timer with it."""
        return (self.kind, self.order_id, self.subject)


_COLUMNS = (timers.c.due_at, timers.c.kind, timers.c.order_id, timers.c.subject)
_CLAIM = text(
    "DELETE FROM timers USING json_to_recordset(CAST(:keys AS json)) AS given(kind text, order_id text, subject text) "
    "WHERE timers.kind = given.kind AND timers.order_id = given.order_id AND timers.subject = given.subject "
    "AND timers.due_at <= :until RETURNING timers.due_at, timers.kind, timers.order_id, timers.subject"
).columns(*_COLUMNS)


def read_due(connection: Connection, until: datetime, limit: int | None = None) -> list[Timer]:
    """The timers due by that time, oldest first."""
    query = select(*_COLUMNS).where(timers.c.due_at <= until).order_by(*_COLUMNS).limit(limit)
    return [Timer(*row) for row in connection.execute(query)]


def claim(connection: Connection, due: Sequence[Timer], until: datetime) -> list[Timer]:
    """Delete those of these timers that are still stored and due. Returns them, oldest first. PostgreSQL only."""
    if not due:
        return []
    keys = as_json([timer.key for timer in due], _KEY)
    return sorted(Timer(*row) for row in connection.execute(_CLAIM, {"keys": keys, "until": until}))


class TimerStore:
    """The timers of one transaction. Those of `found` that are due by `until` fire in it; others can be set.

    `earliest`: no timer is set to an earlier time. In a cluster a timer fires at its own due time, so it must not be
    due before the event that sets it.
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
        """The orders of the due timers. A timer without an order has an empty one, which is left out."""
        return {timer.order_id for timer in self._heap if timer.order_id}

    def subjects(self, kind: str) -> set[str]:
        """The subjects of the due timers of one kind."""
        return {timer.subject for timer in self._heap if timer.kind == kind}

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
        """Cancel a timer, if it exists."""
        key = (kind, order_id, subject)
        self._live.pop(key, None)
        self._set.pop(key, None)
        self._gone.add(key)

    def due(self, now: datetime) -> Iterator[Timer]:
        """The timers due by `now`, oldest first, each cancelled as it is returned. Firing one may set another."""
        while self._heap and self._heap[0].due_at <= now:
            timer = heapq.heappop(self._heap)
            if self._live.get(timer.key) == timer:
                self.cancel(*timer.key)
                yield timer

    def flush(self) -> None:
        """Write what was set, moved, cancelled and fired."""
        if self._gone:
            remove(self._connection, timers, sorted(self._gone), _KEY)
        if self._set:
            upsert(self._connection, timers, list(self._set.values()), Timer._fields)
