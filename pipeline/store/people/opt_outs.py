"""Opt-outs of addresses: which want no messages, whoever has them. Those of contacts are in `contact_opt_outs`.

Between the STOPs and STARTs of an address the newest decides, in whatever order they become known. Providers state
times in whole seconds; within one second STOP counts.
"""

from collections.abc import Collection, Iterable, Iterator, Mapping, Sequence
from datetime import datetime
from typing import NamedTuple

from sqlalchemy import Connection, select

from pipeline.store.db import locks
from pipeline.store.db.bulk import among, insert_new, upsert
from pipeline.store.schema.people import opt_changes, opt_outs

IDS_OF_A_QUERY = 5_000


class OptChange(NamedTuple):
    """A STOP (`stops`) or a START of an address. `source` and `id` name what it came with, so that it counts once."""

    digest: str
    source: str
    id: str
    stops: bool
    at: datetime


def record(connection: Connection, changes: Iterable[OptChange]) -> None:
    """Store changes, each once, and what follows from all that are known.

    Call it late in a transaction: it locks the addresses until the end.
    """
    rows = [change._asdict() for change in sorted(changes)]
    if not rows:
        return
    digests = {row["digest"] for row in rows}
    _begin(connection, digests)
    insert_new(connection, opt_changes, rows)
    _settle(connection, digests)


def correct_times(connection: Connection, source: str, times: Mapping[str, datetime]) -> None:
    """Replace the times of changes of one source, by their ids, by those that the provider states."""
    wrong = [
        change._replace(at=times[change.id])
        for change in _changes_by_id(connection, source, [*times])
        if change.at != times[change.id]
    ]
    if not wrong:
        return
    digests = {change.digest for change in wrong}
    _begin(connection, digests)
    upsert(connection, opt_changes, [change._asdict() for change in sorted(wrong)])
    _settle(connection, digests)


def opted_out(connection: Connection, digests: Collection[str]) -> frozenset[str]:
    """Which of these addresses have opted out."""
    query = select(opt_outs.c.digest).where(among(connection, opt_outs.c.digest, digests))
    return frozenset(connection.execute(query).scalars())


def _begin(connection: Connection, digests: Collection[str]) -> None:
    """Lock the addresses, and add the opt-outs that a process of an earlier version stored without a change."""
    locks.lock(connection, "opt_out", digests)
    known = {(change.digest, change.at) for change in _changes(connection, digests) if change.stops}
    stored = connection.execute(select(opt_outs).where(among(connection, opt_outs.c.digest, digests))).all()
    adopted = [OptChange(row.digest, row.source, row.at.isoformat(), True, row.at) for row in stored]
    missing = [change._asdict() for change in sorted(adopted) if (change.digest, change.at) not in known]
    insert_new(connection, opt_changes, missing)


def _settle(connection: Connection, digests: Collection[str]) -> None:
    """Derive the opt-outs of these addresses from all their changes."""
    newest: dict[str, OptChange] = {}
    for change in _changes(connection, digests):
        known = newest.setdefault(change.digest, change)
        if rank(change) > rank(known):
            newest[change.digest] = change
    stopped = [newest[digest] for digest in sorted(newest) if newest[digest].stops]
    started = [digest for digest in sorted(newest) if not newest[digest].stops]
    upsert(connection, opt_outs, [{"digest": one.digest, "at": one.at, "source": one.source} for one in stopped])
    if started:
        connection.execute(opt_outs.delete().where(among(connection, opt_outs.c.digest, started)))


def rank(change: OptChange) -> tuple[datetime, bool, datetime, str, str]:
    """The newest of several changes has the highest rank: by whole seconds, and within one a STOP counts."""
    return (change.at.replace(microsecond=0), change.stops, change.at, change.source, change.id)


def _changes_by_id(connection: Connection, source: str, ids: Sequence[str]) -> Iterator[OptChange]:
    for start in range(0, len(ids), IDS_OF_A_QUERY):
        is_one = among(connection, opt_changes.c.id, ids[start : start + IDS_OF_A_QUERY])
        for row in connection.execute(select(opt_changes).where(opt_changes.c.source == source, is_one)):
            yield OptChange(**row._mapping)


def _changes(connection: Connection, digests: Collection[str]) -> list[OptChange]:
    query = select(opt_changes).where(among(connection, opt_changes.c.digest, digests))
    return [OptChange(**row._mapping) for row in connection.execute(query)]
