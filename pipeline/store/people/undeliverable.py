"""Addresses that rest because a provider reported, for good, that nobody can be reached there.

A text from such an address, or a message that arrived there, proves the opposite and ends the rest, in whatever order
the reports come.
"""

from collections.abc import Collection, Iterable
from datetime import datetime
from typing import NamedTuple

from sqlalchemy import Connection, exists, or_, select

from pipeline.store.db.bulk import among, upsert
from pipeline.store.schema.asks import asks
from pipeline.store.schema.conversations import inbound_messages
from pipeline.store.schema.people import undeliverable_addresses


class Undeliverable(NamedTuple):
    """A message to an address that could not be delivered: when it was sent, and the provider's code."""

    digest: str
    at: datetime
    code: int | None


def record(connection: Connection, reports: Iterable[Undeliverable]) -> None:
    """Let addresses rest, unless they have shown later that they can be reached."""
    newest = {report.digest: report for report in sorted(reports, key=lambda report: report.at)}
    rows = [newest[digest]._asdict() for digest in sorted(newest) if not _is_reached(connection, newest[digest])]
    upsert(connection, undeliverable_addresses, rows, newest="at")


def reached(connection: Connection, digest: str, at: datetime) -> None:
    """The address could be reached at that time: end a rest that began before."""
    begun_before = undeliverable_addresses.c.digest == digest, undeliverable_addresses.c.at <= at
    connection.execute(undeliverable_addresses.delete().where(*begun_before))


def failed_at(connection: Connection, digests: Collection[str]) -> dict[str, datetime]:
    """When those of these addresses could not be reached that rest since then."""
    query = select(undeliverable_addresses.c.digest, undeliverable_addresses.c.at)
    rows = connection.execute(query.where(among(connection, undeliverable_addresses.c.digest, digests)))
    return {row.digest: row.at for row in rows}


def _is_reached(connection: Connection, report: Undeliverable) -> bool:
    arrived = asks.c.recipient == report.digest, asks.c.delivered_at.is_not(None), asks.c.sending_at >= report.at
    wrote = inbound_messages.c.sender == report.digest, inbound_messages.c.received_at >= report.at
    found = or_(exists().where(*arrived), exists().where(*wrote))
    return bool(connection.execute(select(found)).scalar_one())
