"""What the journal still has to tell others: read in order, and struck off once the broker has it.

A shard of the outbox is one relay's at a time. So the events of one order, which lie in one shard, leave in the order
of their places, however many relays there are.
"""

from collections.abc import Collection, Sequence
from datetime import datetime
from typing import NamedTuple

from sqlalchemy import Connection, bindparam, func, select, text

from pipeline.store.schema.tables import journal, outbox

_LOCKS = 0x756E7661  # the first half of our advisory locks' names, "unva": the database may hold those of others
_TAKE = text("SELECT shard FROM unnest(CAST(:shards AS int[])) AS shard WHERE pg_try_advisory_xact_lock(:locks, shard)")
_NEXT = (
    select(journal.c.seq, journal.c.id, journal.c.type, journal.c.outgoing, journal.c.received_at, journal.c.payload)
    .join_from(outbox, journal, journal.c.seq == outbox.c.seq)
    .where(outbox.c.shard.in_(bindparam("shards", expanding=True)))
    .order_by(outbox.c.seq)
    .limit(bindparam("limit"))
)
_STRIKE = text("DELETE FROM outbox WHERE seq = ANY(CAST(:places AS bigint[]))")


class Untold(NamedTuple):
    """An event that waits to be published."""

    seq: int
    id: str
    type: str
    outgoing: bool  # our processors are through with it
    received_at: datetime
    payload: str


class Backlog(NamedTuple):
    """How much waits to be published, and since when its oldest event does."""

    events: int
    since: datetime | None


def take_shards(connection: Connection, shards: Collection[int]) -> list[int]:
    """Those of the shards that nobody else has; they are ours until the transaction ends."""
    return list(connection.execute(_TAKE, {"shards": list(shards), "locks": _LOCKS}).scalars())


def read(connection: Connection, shards: Collection[int], limit: int) -> list[Untold]:
    """The oldest events of these shards."""
    return [Untold(*row) for row in connection.execute(_NEXT, {"shards": list(shards), "limit": limit})]


def strike(connection: Connection, places: Sequence[int]) -> None:
    """They are told."""
    if places:
        connection.execute(_STRIKE, {"places": list(places)})


def backlog(connection: Connection) -> Backlog:
    """What waits in all."""
    counted = connection.execute(select(func.count(), func.min(outbox.c.seq)).select_from(outbox)).one()
    since = connection.execute(select(journal.c.received_at).where(journal.c.seq == counted[1])).scalar()
    return Backlog(counted[0], since)
