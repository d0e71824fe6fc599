"""The outbox of a cluster: the events of the journal that wait to be published, read in their order.

A shard of the outbox belongs to one relay at a time. The events of one order are in one shard, so they are published in
the order of the journal, however many relays there are.
"""

from collections.abc import Collection, Sequence
from datetime import datetime
from typing import NamedTuple

from sqlalchemy import Connection, bindparam, func, select, text

from pipeline.store.journal.journal import Stored
from pipeline.store.schema.journal import journal, outbox

DEAD_LETTERS = 16  # behind the shards of events (shared_journal.SHARDS): events to be published as dead letters
_LOCKS = 0x756E7661  # "unva", the first half of our advisory locks' keys: other programs may lock in this database, too
_LOCK_SHARDS = text(
    "SELECT shard FROM unnest(CAST(:shards AS int[])) AS shard WHERE pg_try_advisory_xact_lock(:locks, shard)"
)
_NEXT = (
    select(
        journal.c.seq,
        journal.c.id,
        journal.c.type,
        journal.c.outgoing,
        journal.c.received_at,
        journal.c.payload,
        outbox.c.shard == DEAD_LETTERS,
    )
    .join_from(outbox, journal, journal.c.seq == outbox.c.seq)
    .where(outbox.c.shard.in_(bindparam("shards", expanding=True)))
    .order_by(outbox.c.seq)
    .limit(bindparam("limit"))
)
_ADD_DEAD_LETTERS = text(
    "INSERT INTO outbox (seq, shard) SELECT seq, :shard FROM unnest(CAST(:seqs AS bigint[])) AS seq "
    "ON CONFLICT DO NOTHING"
)
_DELETE = text("DELETE FROM outbox WHERE seq = ANY(CAST(:seqs AS bigint[]))")


class PendingEvent(NamedTuple):
    """An event that waits to be published."""

    seq: int
    id: str
    type: str
    outgoing: bool  # one of our own events, which our processors have handled already
    received_at: datetime
    payload: str
    dead: bool = False  # it is published as a dead letter


class Backlog(NamedTuple):
    """How many events wait to be published, and when the oldest of them was received."""

    events: int
    since: datetime | None


def add_dead_letters(connection: Connection, seqs: Sequence[int]) -> None:
    """Have the relay publish these events, which it has published before, as dead letters."""
    if seqs:
        connection.execute(_ADD_DEAD_LETTERS, {"seqs": list(seqs), "shard": DEAD_LETTERS})


def lock_shards(connection: Connection, shards: Collection[int]) -> list[int]:
    """Lock until the transaction ends those of these shards that no other relay has locked. Returns them."""
    return list(connection.execute(_LOCK_SHARDS, {"shards": list(shards), "locks": _LOCKS}).scalars())


def read(connection: Connection, shards: Collection[int], limit: int) -> list[PendingEvent]:
    """The oldest events of these shards."""
    return [PendingEvent(*row) for row in connection.execute(_NEXT, {"shards": list(shards), "limit": limit})]


def pending_of_types(connection: Connection, kinds: Collection[str]) -> list[Stored]:
    """All events of these types that wait to be published, oldest first."""
    columns = (journal.c.seq, journal.c.received_at, journal.c.payload)
    query = select(*columns).join_from(outbox, journal, journal.c.seq == outbox.c.seq)
    ordered = query.where(journal.c.type.in_(kinds)).order_by(outbox.c.seq)
    return [Stored(*row) for row in connection.execute(ordered)]


def mark_published(connection: Connection, seqs: Sequence[int]) -> None:
    """Remove published events from the outbox."""
    if seqs:
        connection.execute(_DELETE, {"seqs": list(seqs)})


def backlog(connection: Connection) -> Backlog:
    """The backlog of all shards."""
    counted = connection.execute(select(func.count(), func.min(outbox.c.seq)).select_from(outbox)).one()
    since = connection.execute(select(journal.c.received_at).where(journal.c.seq == counted[1])).scalar()
    return Backlog(counted[0], since)
