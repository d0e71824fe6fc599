"""Opt-outs: the digests of addresses that want no messages."""

from collections.abc import Collection, Mapping
from datetime import datetime
from typing import NamedTuple

from sqlalchemy import Connection, select

from pipeline.store.db.bulk import among, insert_new
from pipeline.store.schema.people import opt_outs


class OptOut(NamedTuple):
    """When an address opted out, and the source of that request."""

    at: datetime
    source: str


def record(connection: Connection, found: Mapping[str, OptOut]) -> None:
    """Store opt-outs by the digest of the address; an earlier one of the same address stays as it is."""
    rows = [{"digest": digest, **found[digest]._asdict()} for digest in sorted(found)]
    insert_new(connection, opt_outs, rows)


def remove(connection: Connection, digest: str) -> None:
    """End an opt-out: the address wants messages again. The inbound texts keep its history."""
    connection.execute(opt_outs.delete().where(opt_outs.c.digest == digest))


def opted_out(connection: Connection, digests: Collection[str]) -> frozenset[str]:
    """Which of these addresses have opted out."""
    query = select(opt_outs.c.digest).where(among(connection, opt_outs.c.digest, digests))
    return frozenset(connection.execute(query).scalars())
