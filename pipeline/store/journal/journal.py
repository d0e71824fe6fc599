"""The journal: every event in and out, once, in the order of receipt.

With one process, `seq` has no gaps and grows with the commits. Where several work on the database nobody waits for
another's place: it comes from a sequence, and what is to be published is noted in the outbox.
"""

from collections.abc import Sequence
from datetime import UTC, datetime
from typing import NamedTuple
from zlib import crc32

from sqlalchemy import Connection, bindparam, select, text
from sqlalchemy.exc import IntegrityError

from pipeline.store.db.bulk import as_json, insert, insert_new, upsert
from pipeline.store.db.engine import is_cluster
from pipeline.store.schema.tables import journal, state

HEAD = "journal.head"


class Entry(NamedTuple):
    """One event as the journal holds it."""

    source: str
    id: str
    type: str
    outgoing: bool
    received_at: datetime
    payload: str
    key: str  # events.key_of


_COLUMNS = ("seq", "source", "id", "type", "outgoing", "received_at", "payload")
SHARDS = 16  # of the outbox: that many relays can be at work at once


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


# The places are counted in the order of the entries, the rows written in one that is the same for everybody: who waits
# for another to store the same event must not be waited for by that one.
_APPEND = text(
    """
    WITH given AS MATERIALIZED (
        SELECT nextval('journal_seq') AS seq, entry.*
        FROM json_to_recordset(CAST(:entries AS json)) AS entry(
            source text, id text, type text, outgoing boolean, received_at timestamptz, payload text, shard smallint
        )
    ), added AS (
        INSERT INTO journal (seq, source, id, type, outgoing, received_at, payload)
        SELECT seq, source, id, type, outgoing, received_at, payload FROM given ORDER BY id, source, seq
        ON CONFLICT DO NOTHING
        RETURNING seq, source, id
    ), untold AS (
        INSERT INTO outbox (seq, shard) SELECT seq, shard FROM added JOIN given USING (seq) WHERE shard IS NOT NULL
    )
    SELECT seq, source, id FROM added
    """
)
_ADVANCE = text(
    "INSERT INTO state (name, value) VALUES (:name, :value) ON CONFLICT (name) DO UPDATE SET value = excluded.value "
    "WHERE CAST(excluded.value AS timestamptz) > CAST(state.value AS timestamptz)"
)


def get(connection: Connection, name: str, lock: bool = False) -> str | None:
    """A named fact of this installation; with `lock` nobody else changes it before this transaction ends."""
    query = select(state.c.value).where(state.c.name == name)
    return connection.execute(query.with_for_update() if lock else query).scalar()


def put(connection: Connection, name: str, value: str) -> None:
    """Remember a named fact."""
    upsert(connection, state, [{"name": name, "value": value}])


def settle(connection: Connection, name: str, value: str) -> str:
    """Remember a named fact for good. Returns it, or what somebody else has settled before."""
    insert_new(connection, state, [{"name": name, "value": value}])
    return get(connection, name) or value


def advance(connection: Connection, name: str, moment: datetime) -> None:
    """Remember an instant, unless a later one is remembered already. PostgreSQL only."""
    connection.execute(_ADVANCE, {"name": name, "value": as_text(moment)})


def hold(connection: Connection) -> None:
    """Take the lock that whoever appends takes; in a cluster there is none."""
    if not is_cluster(connection):
        get(connection, HEAD, lock=True)


def append(connection: Connection, entries: Sequence[Entry], publish: bool = True) -> list[int | None]:
    """Add those events whose (source, id) is new, in their order. Returns the place of each; None: it was known.

    With one process the head is locked until the transaction ends, so that a reader who follows `seq` can never
    overlook a late commit. In a cluster nobody follows it: what is to be published, if `publish`, is in the outbox.
    """
    if not entries:
        return []
    if is_cluster(connection):
        return _write_beside_others(connection, entries, publish)
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
        rows.append((head, *entry[:-1]))
    insert(connection, journal, rows, _COLUMNS)
    put(connection, HEAD, str(head))
    return places


def _write_beside_others(connection: Connection, entries: Sequence[Entry], publish: bool) -> list[int | None]:
    columns = (*_COLUMNS[1:], "shard")
    rows = [(*entry[:-1], shard_of(entry.key) if publish else None) for entry in entries]
    added = connection.execute(_APPEND, {"entries": as_json(rows, columns)})
    places: dict[tuple[str, str], int] = {(source, event_id): seq for seq, source, event_id in added}
    return [places.pop((entry.source, entry.id), None) for entry in entries]  # the second of a batch is known, too


def shard_of(key: str) -> int:
    """The shard of the outbox for what is told about a key. It must not change while anything waits there."""
    return crc32(key.encode()) % SHARDS


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
