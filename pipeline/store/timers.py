"""Work that becomes due: stored, so that it survives a restart, and fired by the clock of the events."""

import heapq
from collections.abc import Iterator
from datetime import datetime
from typing import NamedTuple

from sqlalchemy import Connection, select

from pipeline.store.bulk import remove, upsert
from pipeline.store.tables import timers

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


class TimerStore:
    """The timers of one transaction that are due by `until`, and those set in it."""

    def __init__(self, connection: Connection, until: datetime) -> None:
        self._connection = connection
        query = select(timers.c.due_at, timers.c.kind, timers.c.order_id, timers.c.subject)
        found = [Timer(*row) for row in connection.execute(query.where(timers.c.due_at <= until))]
        self._until = until
        self._heap = found
        heapq.heapify(self._heap)
        self._live: dict[tuple[str, str, str], Timer] = {timer.key: timer for timer in found}
        self._set: dict[tuple[str, str, str], Timer] = {}
        self._gone: set[tuple[str, str, str]] = set()

    def order_ids(self) -> set[str]:
        """The orders that due timers speak of."""
        return {timer.order_id for timer in self._heap}

    def set(self, kind: str, order_id: str, subject: str, due_at: datetime) -> None:
        """Set a timer, or move the one of that kind, order and subject."""
        timer = Timer(due_at, kind, order_id, subject)
        self._set[timer.key] = timer
        self._gone.discard(timer.key)
        self._live.pop(timer.key, None)
        if due_at <= self._until:
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
