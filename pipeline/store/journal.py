"""The journal: every event in and out, once, in the order of receipt. `seq` has no gaps and grows with the commits."""

from collections.abc import Sequence
from datetime import UTC, datetime
from typing import NamedTuple

from sqlalchemy import Connection, select

from pipeline.store.bulk import insert, upsert
from pipeline.store.tables import journal, state

HEAD = "journal.head"


class Entry(NamedTuple):
    """One event as the journal holds it."""

    source: str
    id: str
    type: str
    outgoing: bool
    received_at: datetime
    payload: str


class Stored(NamedTuple):
    """One event read back: its place, its receipt and its text."""

    seq: int
    received_at: datetime
    payload: str


def get(connection: Connection, name: str, lock: bool = False) -> str | None:
    """A named fact of this installation; with `lock` nobody else changes it before this transaction ends."""
    query = select(state.c.value).where(state.c.name == name)
    return connection.execute(query.with_for_update() if lock else query).scalar()


def put(connection: Connection, name: str, value: str) -> None:
    """Remember a named fact."""
    upsert(connection, state, [{"name": name, "value": value}])


def append(connection: Connection, entries: Sequence[Entry]) -> int:
    """Add those events whose (source, id) is new, in their order; returns how many were.

    The head is locked until the transaction ends, so that a reader who follows `seq` can never overlook a late commit.
    """
    if not entries:
        return 0
    head = int(get(connection, HEAD, lock=True) or 0)
    ids = [entry.id for entry in entries]
    known = {
        (row.source, row.id)
        for row in connection.execute(select(journal.c.source, journal.c.id).where(journal.c.id.in_(ids)))
    }
    rows = []
    for entry in entries:
        key = (entry.source, entry.id)
        if key not in known:
            known.add(key)
            head += 1
            rows.append({"seq": head, **entry._asdict()})
    if rows:
        insert(connection, journal, rows)
        put(connection, HEAD, str(head))
    return len(rows)


def read(connection: Connection, after: int, limit: int) -> list[Stored]:
    """The next incoming events behind position `after`, oldest first."""
    query = (
        select(journal.c.seq, journal.c.received_at, journal.c.payload)
        .where(journal.c.seq > after, journal.c.outgoing.is_(False))
        .order_by(journal.c.seq)
        .limit(limit)
    )
    return [Stored(*row) for row in connection.execute(query)]


def read_type(connection: Connection, kind: str, after: int) -> list[Stored]:
    """All events of one type behind position `after`, oldest first."""
    query = (
        select(journal.c.seq, journal.c.received_at, journal.c.payload)
        .where(journal.c.seq > after, journal.c.type == kind)
        .order_by(journal.c.seq)
    )
    return [Stored(*row) for row in connection.execute(query)]


def as_text(moment: datetime) -> str:
    """An instant as the state table holds it."""
    return moment.astimezone(UTC).isoformat()
