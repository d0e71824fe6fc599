"""Events that cannot be processed: stored once, with the reason, until a retry succeeds."""

from collections.abc import Collection, Iterable, Sequence
from datetime import datetime
from operator import itemgetter
from typing import NamedTuple

from sqlalchemy import Connection, delete, select

from pipeline.store.db.bulk import Row, insert_new
from pipeline.store.schema.journal import dead_letters

JOURNAL = "journal:"  # prefix of the position of an event that is in the journal

_columns = dead_letters.c


class DeadLetter(NamedTuple):
    """Where a dead letter came from and what is wrong with it. Its content stays sealed."""

    received_at: datetime
    topic: str
    position: str
    field: str
    reason: str


class SealedEvent(NamedTuple):
    """A dead letter to be opened by the vault."""

    digest: str
    topic: str  # "": unknown
    position: str
    raw: bytes  # sealed


def store(connection: Connection, rows: Iterable[Row]) -> None:
    """Store dead letters, each once. Sorted, so that two processes that store the same ones do not deadlock."""
    insert_new(connection, dead_letters, sorted(rows, key=itemgetter("digest")))


def retryable(connection: Connection) -> Sequence[str]:
    """The digests of those to ingest again, oldest first: all but those that are in the journal already."""
    query = select(_columns.digest).where(_columns.position.not_like(f"{JOURNAL}%"))
    return connection.execute(query.order_by(_columns.received_at, _columns.digest)).scalars().all()


def read(connection: Connection, digests: Collection[str]) -> list[SealedEvent]:
    """These dead letters."""
    query = select(_columns.digest, _columns.topic, _columns.position, _columns.raw)
    return [SealedEvent(*row) for row in connection.execute(query.where(_columns.digest.in_(digests)))]


def remove(connection: Connection, digests: Collection[str]) -> None:
    """Delete these dead letters."""
    connection.execute(delete(dead_letters).where(_columns.digest.in_(digests)))


def all_dead_letters(connection: Connection) -> list[DeadLetter]:
    """Every dead letter, oldest first."""
    columns = [_columns[name] for name in DeadLetter._fields]
    query = select(*columns).order_by(_columns.received_at, _columns.topic, _columns.position)
    return [DeadLetter(*row) for row in connection.execute(query)]
