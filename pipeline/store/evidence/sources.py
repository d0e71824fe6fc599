"""When each source of events sent something, in quarters of an hour, and when this installation was running.

A slot is inserted once and never updated, so that workers who receive events of one source do not wait for each other.
"""

from collections.abc import Sequence
from datetime import date, datetime, timedelta
from typing import NamedTuple
from weakref import WeakKeyDictionary

import msgspec
from sqlalchemy import Connection, Engine, func, select

from pipeline.domain.detection.pairs import SOURCE_SILENT
from pipeline.domain.detection.source_silence import MAX_SOURCES, PAST, Gap, slot_of
from pipeline.store.db.bulk import insert_new, remove
from pipeline.store.schema.alerting.sources import source_slots, sources
from pipeline.store.schema.evidence import alerts

AWAKE = ""
"""The source under which the slots are stored in which this installation was running."""
# The newest slot of each source that was read from the database, so committed: one query a slot, not one a batch.
_seen: WeakKeyDictionary[Engine, dict[str, int]] = WeakKeyDictionary()
_SEEN_LIMIT = 10_000


class _Since(msgspec.Struct):
    since: date


_since = msgspec.json.Decoder(_Since)


class Watched(NamedTuple):
    """A watched source. `silent`: its silence is reported."""

    source: str
    first_slot: int
    silent: bool


class SourceStore:
    """The slots that one transaction adds."""

    def __init__(self, connection: Connection) -> None:
        self._connection = connection
        self._known = _seen.setdefault(connection.engine, {})
        self._new: set[tuple[str, int]] = set()
        self._new_sources: dict[str, Watched] = {}

    def note(self, source: str, at: datetime) -> bool:
        """Note that something was received. Whether this is news: nothing else is known of the source in this slot."""
        slot = slot_of(at)
        if self._known.get(source) == slot or (source, slot) in self._new:
            return False
        query = select(source_slots.c.slot).where(source_slots.c.source == source, source_slots.c.slot == slot)
        if self._connection.execute(query).first() is not None:
            if len(self._known) >= _SEEN_LIMIT:
                self._known.clear()
            self._known[source] = slot
            return False
        self._new.add((source, slot))
        return True

    def watched(self, source: str) -> Watched | None:
        """What is known of a source; None: it is not watched."""
        if source in self._new_sources:
            return self._new_sources[source]
        row = self._connection.execute(select(sources).where(sources.c.source == source)).one_or_none()
        return None if row is None else Watched(*row)

    def watch(self, source: str, at: datetime) -> bool:
        """Watch a source from now on. False: too many are watched."""
        count = self._connection.execute(select(func.count()).select_from(sources)).scalar_one()
        if count + len(self._new_sources) >= MAX_SOURCES:
            return False
        self._new_sources[source] = Watched(source, slot_of(at), False)
        return True

    def set_silent(self, source: str, silent: bool) -> None:
        """Store whether the silence of a source is reported."""
        self.flush()
        self._connection.execute(sources.update().where(sources.c.source == source).values(silent=silent))

    def past(self, source: str, now: datetime) -> Sequence[int]:
        """The slots of a source's past, sorted; those before the last are of the trailing 90 days."""
        self.flush()
        query = select(source_slots.c.slot).where(source_slots.c.source == source).order_by(source_slots.c.slot)
        last = self._connection.execute(
            select(func.max(source_slots.c.slot)).where(source_slots.c.source == source)
        ).scalar()
        first = slot_of(now - PAST) if last is None else min(slot_of(now - PAST), last)
        return self._connection.execute(query.where(source_slots.c.slot >= first)).scalars().all()

    def reported(self, source: str, now: datetime) -> list[Gap]:
        """The silences of a source that were reported and are over, as far as its past reaches."""
        query = select(alerts.c.evidence, alerts.c.resolved_at).where(
            alerts.c.signal == SOURCE_SILENT, alerts.c.value == source, alerts.c.resolved_at > now - PAST
        )
        return [
            Gap(_first_slot(_since.decode(text).since), slot_of(at)) for text, at in self._connection.execute(query)
        ]

    def flush(self) -> None:
        """Write the new sources and slots, in one order for all transactions."""
        insert_new(self._connection, sources, [one._asdict() for _, one in sorted(self._new_sources.items())])
        self._new_sources.clear()
        insert_new(self._connection, source_slots, [{"source": one, "slot": slot} for one, slot in sorted(self._new)])
        self._new.clear()


def delete_expired(connection: Connection, before: datetime, limit: int) -> int:
    """Delete slots from before that time, except the last of each source. Returns the number."""
    newest = select(func.max(source_slots.c.slot)).group_by(source_slots.c.source)
    old = (
        select(source_slots.c.source, source_slots.c.slot)
        .where(source_slots.c.slot < slot_of(before), source_slots.c.slot.not_in(newest))
        .limit(limit)
    )
    rows = connection.execute(old).all()
    remove(connection, source_slots, [tuple(row) for row in rows], ("source", "slot"))
    return len(rows)


def _first_slot(day: date) -> int:
    return int((day - date(1970, 1, 1)) / timedelta(minutes=15))
