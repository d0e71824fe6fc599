"""What is frozen so that an honest segment is not judged by a bad week of the fleet or by the taste of its customers.

Per month the sums of a level's segments, per day the fleet's present state. Whoever needs one first freezes it; in a
cluster the first writer wins. Stored rows never change, so every fold of stored pairs gives the same result.
"""

from collections.abc import Callable, Iterable
from datetime import date
from typing import NamedTuple
from weakref import WeakKeyDictionary

import msgspec
from sqlalchemy import Connection, Engine, select

from pipeline.domain.detection.segments import Series
from pipeline.domain.detection.spread import RATE_DAYS, SPREAD_DAYS, Contacts, SegmentSums, Spread
from pipeline.store.db.bulk import among_rows, insert_new, upsert
from pipeline.store.db.locks import lock_freezing
from pipeline.store.schema.evidence import fleet_factors, segment_days, spreads

_Key = tuple[str, str, str]  # signal, dimension, month
_SegmentDay = tuple[str, str, str, int]  # a series and a day
_SEGMENT_DAY = (*Series._fields, "day")
_ROWS = 1_000  # read in one query
_segments = msgspec.json.Decoder(list[SegmentSums])
# What other transactions have committed, by database: a level of thousands of segments is decoded once a month.
_known: WeakKeyDictionary[Engine, dict[_Key, Spread]] = WeakKeyDictionary()
_KNOWN_LIMIT = 64
_CONTACTS = "no_question:base"  # in the column of the signal


class _Day(NamedTuple):
    day: int
    n: int
    total: float


class SpreadStore:
    """The spreads and fleet factors that one transaction reads, and freezes where they are missing."""

    def __init__(self, connection: Connection) -> None:
        self._connection = connection
        self._changes: dict[_SegmentDay, list[tuple[bool, float]]] = {}
        self._spreads: dict[_Key, Spread] = {}
        self._contacts: dict[_Key, Contacts] = {}
        self._factors: dict[tuple[str, int], float] = {}

    def count(self, series: Series, day: int, x: float, previous: float | None) -> None:
        """Add a pair to its segment's sums of that day, or its change from `previous`."""
        self._changes.setdefault((*series, day), []).append((previous is None, x - (previous or 0.0)))

    def spread(self, signal: str, dimension: str, month: date) -> Spread:
        """The segments of a level as they were at the start of a month, frozen at the first call."""
        key = (signal, dimension, month.isoformat()[:7])
        known = _known.setdefault(self._connection.engine, {})
        found = self._spreads.get(key) or known.get(key)
        if found is None:
            text = self._read_spread(key)
            stored = text or self._freeze(key, lambda: self._sums(signal, dimension, month.toordinal()))
            found = Spread(_segments.decode(stored))
            if text is not None:  # what this transaction itself froze may still be rolled back
                if len(known) >= _KNOWN_LIMIT:
                    known.clear()
                known[key] = found
            self._spreads[key] = found
        return found

    def factor(self, signal: str, day: int, estimate: Callable[[], float]) -> float:
        """The fleet's present state on a day, frozen at the first call as `estimate` gives it."""
        if (signal, day) not in self._factors:
            stored = self._read_factor(signal, day)
            self._factors[signal, day] = self._freeze_factor(signal, day, estimate) if stored is None else stored
        return self._factors[signal, day]

    def contacts(self, dimension: str, month: date, estimate: Callable[[], list[SegmentSums]]) -> Contacts:
        """Which orders of a level had a contact before a month, frozen at the first call as `estimate` gives it."""
        key = (_CONTACTS, dimension, month.isoformat()[:7])
        found = self._contacts.get(key)
        if found is None:
            text = self._read_spread(key) or self._freeze(key, estimate)
            found = self._contacts[key] = Contacts(_segments.decode(text))
        return found

    def flush(self) -> None:
        """Write the sums of segments."""
        stored = self._stored(sorted(self._changes))
        rows = [(*key, *_changed(stored.get(key, (0, 0.0)), changes)) for key, changes in sorted(self._changes.items())]
        upsert(self._connection, segment_days, rows, (*_SEGMENT_DAY, "n", "total"))
        self._changes.clear()

    def _stored(self, keys: list[_SegmentDay]) -> dict[_SegmentDay, tuple[int, float]]:
        """The sums of these days that are stored."""
        columns = [segment_days.c[name] for name in _SEGMENT_DAY]
        found = {}
        for first in range(0, len(keys), _ROWS):
            some = among_rows(self._connection, columns, keys[first : first + _ROWS])
            query = select(*columns, segment_days.c.n, segment_days.c.total).where(some)
            found.update({tuple(key): (n, total) for *key, n, total in self._connection.execute(query)})
        return found

    def _read_spread(self, key: _Key) -> str | None:
        signal, dimension, month = key
        query = select(spreads.c.segments).where(
            spreads.c.signal == signal, spreads.c.dimension == dimension, spreads.c.month == month
        )
        return self._connection.execute(query).scalar()

    def _freeze(self, key: _Key, estimate: Callable[[], list[SegmentSums]]) -> str:
        lock_freezing(self._connection)
        frozen = self._read_spread(key)  # by another transaction, before this one had the lock
        if frozen is not None:
            return frozen
        signal, dimension, month = key
        text = msgspec.json.encode(estimate()).decode()
        row = {"signal": signal, "dimension": dimension, "month": month, "segments": text}
        insert_new(self._connection, spreads, [row])  # a process of an earlier version freezes without the lock
        return self._read_spread(key) or text

    def _read_factor(self, signal: str, day: int) -> float | None:
        query = select(fleet_factors.c.factor).where(fleet_factors.c.signal == signal, fleet_factors.c.day == day)
        return self._connection.execute(query).scalar()

    def _freeze_factor(self, signal: str, day: int, estimate: Callable[[], float]) -> float:
        lock_freezing(self._connection)
        frozen = self._read_factor(signal, day)
        if frozen is not None:
            return frozen
        factor = estimate()
        insert_new(self._connection, fleet_factors, [{"signal": signal, "day": day, "factor": factor}])  # as above
        frozen = self._read_factor(signal, day)
        return factor if frozen is None else frozen

    def _sums(self, signal: str, dimension: str, first: int) -> list[SegmentSums]:
        """The sums of every segment before that day."""
        self.flush()
        table = segment_days.c
        query = (
            select(table.value, table.day, table.n, table.total)
            .where(table.signal == signal, table.dimension == dimension)
            .where(table.day.between(first - SPREAD_DAYS, first - 1))
        )
        by_segment: dict[str, list[_Day]] = {}
        for value, *row in self._connection.execute(query):
            by_segment.setdefault(value, []).append(_Day(*row))
        return [
            SegmentSums(value, *_added(rows), *_added(row for row in rows if row.day >= first - RATE_DAYS))
            for value, rows in sorted(by_segment.items())
        ]


def _changed(stored: tuple[int, float], changes: Iterable[tuple[bool, float]]) -> tuple[int, float]:
    """Number and sum of a day after some pairs, added one by one in their order: sums depend on it."""
    n, total = stored
    for is_new, difference in changes:
        n, total = n + is_new, total + difference
    return n, total


def _added(rows: Iterable[_Day]) -> tuple[int, float]:
    """Number and sum of some days, always in the same order, so that the last digit is the same everywhere."""
    ordered = sorted(rows)
    return sum(row.n for row in ordered), float(sum(row.total for row in ordered))
