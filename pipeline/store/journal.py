"""The journal: every event in and out, once, in the order of receipt. `seq` has no gaps and grows with the commits."""

from collections.abc import Sequence
from datetime import UTC, datetime
from typing import NamedTuple

from sqlalchemy import Connection, bindparam, select
from sqlalchemy.exc import IntegrityError

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


_COLUMNS = ("seq", *Entry._fields)


class Stored(NamedTuple):
    """One event read back: its place, its receipt and its text."""

    seq: int
    received_at: datetime
    payload: str


_NEXT = (
    select(journal.c.seq, journal.c.received_at, journal.c.payload)
    .where(journal.c.seq > bindparam("after"), journal.c.outgoing.is_(False))
    .order_by(journal.c.seq)
    .limit(bindparam("limit"))
)


def get(connection: Connection, name: str, lock: bool = False) -> str | None:
    """A named fact of this installation; with `lock` nobody else changes it before this transaction ends."""
    query = select(state.c.value).where(state.c.name == name)
    return connection.execute(query.with_for_update() if lock else query).scalar()


def put(connection: Connection, name: str, value: str) -> None:
    """Remember a named fact."""
    upsert(connection, state, [{"name": name, "value": value}])


def append(connection: Connection, entries: Sequence[Entry]) -> list[int | None]:
    """Add those events whose (source, id) is new, in their order. Returns the place of each; None: it was known.

    The head is locked until the transaction ends, so that a reader who follows `seq` can never overlook a late commit.
    """
    if not entries:
        return []
    try:
        with connection.begin_nested():
            return _write(connection, entries, set())
    except IntegrityError:  # some were stored before; asking first would cost as much as storing
        found = select(journal.c.source, journal.c.id).where(journal.c.id.in_([entry.id for entry in entries]))
        return _write(connection, entries, {(row.source, row.id) for row in connection.execute(found)})


def _write(connection: Connection, entries: Sequence[Entry], known: set[tuple[str, str]]) -> list[int | None]:
    head = int(get(connection, HEAD, lock=True) or 0)
    rows, places = [], list[int | None]()
    for entry in entries:
        key = (entry.source, entry.id)
        if key in known:
            places.append(None)
            continue
        known.add(key)
        head += 1
        places.append(head)
        rows.append((head, *entry))
    insert(connection, journal, rows, _COLUMNS)
    put(connection, HEAD, str(head))
    return places


def read(connection: Connection, after: int, limit: int) -> list[Stored]:
    """The next incoming events behind place `after`, oldest first."""
    return [Stored(*row) for row in connection.execute(_NEXT, {"after": after, "limit": limit})]


def pending(connection: Connection, after: int) -> bool:
    """Whether there are incoming events behind place `after`."""
    return connection.execute(_NEXT, {"after": after, "limit": 1}).first() is not None


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
