"""The journal: every event in and out, stored once, in the order of receipt.

A journal has one contract and two implementations: `EmbeddedJournal` for one process, `SharedJournal` for a cluster.
`app.installation` chooses between them, once.
"""

from collections.abc import Collection, Sequence
from datetime import datetime
from typing import Literal, NamedTuple, Protocol

from sqlalchemy import Connection, bindparam, select

from pipeline.store.schema.journal import journal


class Entry(NamedTuple):
    """One event as the journal stores it."""

    source: str
    id: str
    type: str
    outgoing: bool
    received_at: datetime
    payload: str
    key: str  # events.key_of
    content_digest: str | None = None  # `vault.content_digest` of an event from outside

    @property
    def row(self) -> tuple[object, ...]:
        """The values of `COLUMNS` behind the place."""
        return (*self[:6], self.content_digest)


COLUMNS = ("seq", "source", "id", "type", "outgoing", "received_at", "payload", "content_digest")

# The place of a new event. "duplicate": it is stored already. "conflict": its (source, id) is, with other content.
Appended = int | Literal["duplicate", "conflict"]


def repeated(stored: str | None, received: str | None) -> Literal["duplicate", "conflict"]:
    """What an event is whose (source, id) is stored, by the digests of both contents.

    Events without a digest are our own, or from before there were digests: they count as duplicates.
    """
    return "conflict" if stored is not None and received is not None and stored != received else "duplicate"


class Stored(NamedTuple):
    """One event read back: its sequence number, time of receipt and text."""

    seq: int
    received_at: datetime
    payload: str


class Version(NamedTuple):
    """How far the journal and its processing are. Equal versions: every report and page is unchanged."""

    head: int
    processed: int


class Journal(Protocol):
    """Where events are appended, and how far it is."""

    def append(self, connection: Connection, entries: Sequence[Entry], publish: bool = True) -> list[Appended]:
        """Store the events whose (source, id) is new, in their order. Returns what became of each.

        `publish`: in a cluster the relay publishes them.
        """

    def lock(self, connection: Connection) -> None:
        """Acquire the lock of `append`, if it has one: before any lock on the rows of asks."""

    def version(self, connection: Connection) -> Version:
        """How far it is, read by key."""


_NEXT = (
    select(journal.c.seq, journal.c.received_at, journal.c.payload)
    .where(journal.c.seq > bindparam("after"), journal.c.outgoing.is_(False))
    .order_by(journal.c.seq)
    .limit(bindparam("limit"))
)


def read(connection: Connection, after: int, limit: int) -> list[Stored]:
    """The next incoming events after that sequence number, oldest first. Embedded mode only: see `EmbeddedJournal`."""
    return [Stored(*row) for row in connection.execute(_NEXT, {"after": after, "limit": limit})]


def pending(connection: Connection, after: int) -> bool:
    """Whether there are incoming events after that sequence number."""
    return connection.execute(_NEXT, {"after": after, "limit": 1}).first() is not None


def find(connection: Connection, source: str, event_id: str) -> Stored | None:
    """The event of this source and id; None: the journal has none."""
    query = select(journal.c.seq, journal.c.received_at, journal.c.payload)
    row = connection.execute(query.where(journal.c.id == event_id, journal.c.source == source)).one_or_none()
    return None if row is None else Stored(*row)


def read_types(connection: Connection, kinds: Collection[str], after: int, limit: int | None = None) -> list[Stored]:
    """The events of these types after that sequence number, oldest first."""
    query = (
        select(journal.c.seq, journal.c.received_at, journal.c.payload)
        .where(journal.c.seq > after, journal.c.type.in_(kinds))
        .order_by(journal.c.seq)
        .limit(limit)
    )
    return [Stored(*row) for row in connection.execute(query)]
