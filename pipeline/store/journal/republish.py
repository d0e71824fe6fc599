"""Puts events that were published, and lost with a Kafka topic before a worker handled them, back into the outbox."""

from collections.abc import Mapping

from sqlalchemy import Connection, func, select, text

from pipeline.domain.events.contract import EVIDENCE
from pipeline.store.db.bulk import as_json
from pipeline.store.schema.journal import handled, journal, outbox

_ADD = text(
    "INSERT INTO outbox (seq, shard) "
    "SELECT seq, shard FROM json_to_recordset(CAST(:rows AS json)) AS given(seq bigint, shard smallint) "
    "ON CONFLICT DO NOTHING"
)


def newest(connection: Connection) -> int:
    """The newest sequence number of the journal; 0: it is empty."""
    return connection.execute(select(func.max(journal.c.seq))).scalar() or 0


def published_unhandled(connection: Connection, first: int) -> Mapping[int, str]:
    """The events from that sequence number on that left the outbox and were not handled, with their text."""
    marked = select(handled.c.seq).where(handled.c.seq == journal.c.seq, handled.c.part == "")
    waiting = select(outbox.c.seq).where(outbox.c.seq == journal.c.seq)
    query = select(journal.c.seq, journal.c.payload).where(
        journal.c.seq >= first, journal.c.outgoing.is_(False), ~marked.exists(), ~waiting.exists()
    )
    return {row.seq: row.payload for row in connection.execute(query.order_by(journal.c.seq))}


def comparisons_unhandled(connection: Connection, first: int) -> int:
    """How many comparisons from that sequence number on left the outbox, and no worker has counted any part of them."""
    marked = select(handled.c.seq).where(handled.c.seq == journal.c.seq, handled.c.part != "")
    waiting = select(outbox.c.seq).where(outbox.c.seq == journal.c.seq)
    these = journal.c.seq >= first, journal.c.type.in_(EVIDENCE), ~marked.exists(), ~waiting.exists()
    found: int = connection.execute(select(func.count()).select_from(journal).where(*these)).scalar_one()
    return found


def add(connection: Connection, shards: Mapping[int, int]) -> None:
    """Have the relay publish these events again, by sequence number with the shard of each."""
    connection.execute(_ADD, {"rows": as_json(list(shards.items()), ("seq", "shard"))})
