"""The journal of a cluster: numbers come from a database sequence, the outbox lists what the relay has to publish."""

from collections.abc import Collection, Sequence
from zlib import crc32

from sqlalchemy import Connection, select, text

from pipeline.store.db.bulk import among_rows, as_json
from pipeline.store.journal.journal import COLUMNS, Appended, Entry, Version, repeated
from pipeline.store.schema.journal import journal

SHARDS = 16  # of the outbox: the number of relays that can work at once

# The events are numbered in the order of the entries. The rows are written in one order that is the same for every
# process: two processes that store the same events would otherwise wait for each other.
_APPEND = text(
    """
    WITH given AS MATERIALIZED (
        SELECT nextval('journal_seq') AS seq, entry.*
        FROM json_to_recordset(CAST(:entries AS json)) AS entry(
            source text, id text, type text, outgoing boolean, received_at timestamptz, payload text,
            content_digest text, shard smallint
        )
    ), added AS (
        INSERT INTO journal (seq, source, id, type, outgoing, received_at, payload, content_digest)
        SELECT seq, source, id, type, outgoing, received_at, payload, content_digest FROM given
        ORDER BY id, source, seq
        ON CONFLICT DO NOTHING
        RETURNING seq, source, id
    ), pending AS (
        INSERT INTO outbox (seq, shard) SELECT seq, shard FROM added JOIN given USING (seq) WHERE shard IS NOT NULL
    )
    SELECT seq, source, id FROM added
    """
)
_VERSION = text(
    "SELECT last_value, CAST(CAST(pg_snapshot_xmin(pg_current_snapshot()) AS text) AS bigint) FROM journal_seq"
)


class SharedJournal:
    """Acquires no lock: nothing follows the sequence, each event to be published is in the outbox. PostgreSQL only."""

    def append(self, connection: Connection, entries: Sequence[Entry], publish: bool = True) -> list[Appended]:
        """Store the events whose (source, id) is new. Returns what became of each.

        `publish`: put the new ones into the outbox, too.
        """
        if not entries:
            return []
        columns = (*COLUMNS[1:], "shard")
        rows = [(*entry.row, shard_of(entry.key) if publish else None) for entry in entries]
        added = connection.execute(_APPEND, {"entries": as_json(rows, columns)})
        seqs: dict[tuple[str, str], int] = {(source, event_id): seq for seq, source, event_id in added}
        numbers = [seqs.pop((entry.source, entry.id), None) for entry in entries]  # the second of a batch is not new
        stored = _digests(connection, [entry for entry, seq in zip(entries, numbers, strict=True) if seq is None])
        return [
            seq or repeated(stored.get((entry.source, entry.id)), entry.content_digest)
            for entry, seq in zip(entries, numbers, strict=True)
        ]

    def lock(self, connection: Connection) -> None:
        """Nothing: `append` acquires no lock."""

    def version(self, connection: Connection) -> Version:
        """The last sequence number; and for how far processing is, the oldest transaction still in progress."""
        return Version(*connection.execute(_VERSION).one())


def _digests(connection: Connection, entries: Collection[Entry]) -> dict[tuple[str, str], str | None]:
    """The content digests of what is stored, by source and id. Other transactions have committed it, or this one."""
    keys = {(entry.source, entry.id) for entry in entries if entry.content_digest is not None}
    if not keys:
        return {}
    columns = (journal.c.source, journal.c.id)
    query = select(*columns, journal.c.content_digest).where(among_rows(connection, columns, keys))
    return {(source, event_id): digest for source, event_id, digest in connection.execute(query)}


def shard_of(key: str) -> int:
    """The shard of the outbox for events with this key. It must not change while any of them waits there."""
    return crc32(key.encode()) % SHARDS
