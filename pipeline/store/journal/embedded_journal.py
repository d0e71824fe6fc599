"""The journal of one process: sequence numbers without gaps, in the order of the commits."""

from collections.abc import Sequence

from sqlalchemy import Connection, select
from sqlalchemy.exc import IntegrityError

from pipeline.store.db.bulk import insert
from pipeline.store.journal.journal import COLUMNS, Appended, Entry, Version, repeated
from pipeline.store.journal.state import HEAD, POSITION, get, put
from pipeline.store.schema.journal import journal, state


class EmbeddedJournal:
    """Locks the head until commit, so that readers who follow the sequence never skip a late commit."""

    def append(self, connection: Connection, entries: Sequence[Entry], publish: bool = True) -> list[Appended]:
        """Store the events whose (source, id) is new. Returns what became of each.

        `publish` has no effect: the process that stores an event also processes it.
        """
        if not entries:
            return []
        try:
            with connection.begin_nested():
                return _write(connection, entries, {})
        except IntegrityError:  # some were stored before; asking first would cost as much as storing
            columns = (journal.c.source, journal.c.id, journal.c.content_digest)
            found = select(*columns).where(journal.c.id.in_([entry.id for entry in entries]))
            known = {(source, event_id): digest for source, event_id, digest in connection.execute(found)}
            return _write(connection, entries, known)

    def lock(self, connection: Connection) -> None:
        """Lock the head until the transaction ends."""
        get(connection, HEAD, lock=True)

    def version(self, connection: Connection) -> Version:
        """The last sequence number of the journal, and that of the last event processed."""
        query = select(state.c.name, state.c.value).where(state.c.name.in_([HEAD, POSITION]))
        found = {name: int(value) for name, value in connection.execute(query)}
        return Version(found.get(HEAD, 0), found.get(POSITION, 0))


def _write(
    connection: Connection, entries: Sequence[Entry], known: dict[tuple[str, str], str | None]
) -> list[Appended]:
    """`known`: the content digests of what is stored, by source and id."""
    head = int(get(connection, HEAD, lock=True) or 0)
    rows, seqs = [], list[Appended]()
    for entry in entries:
        key = (entry.source, entry.id)
        if key in known:
            seqs.append(repeated(known[key], entry.content_digest))
            continue
        known[key] = entry.content_digest
        head += 1
        seqs.append(head)
        rows.append((head, *entry.row))
    insert(connection, journal, rows, COLUMNS)
    put(connection, HEAD, str(head))
    return seqs
