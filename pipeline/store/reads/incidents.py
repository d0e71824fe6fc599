"""Incidents as reports and pages show them."""

from collections.abc import Sequence
from typing import NamedTuple

import msgspec
from sqlalchemy import Connection, and_, or_, select

from pipeline.domain.detection.segments import Series
from pipeline.domain.events.incidents import IncidentChanged
from pipeline.domain.incidents.incident import Incident
from pipeline.domain.reports.incidents import AccountOut, ActOut, instant
from pipeline.store.incidents.incidents import find, incident_of
from pipeline.store.incidents.open_alerts import pairs_since
from pipeline.store.people.vault import Vault
from pipeline.store.schema.incidents import incident_acts, incidents

__all__ = ["accounts_and_orders", "acts", "ended", "find", "going_on"]

ORDERS_SHOWN = 50
_event = msgspec.json.Decoder(IncidentChanged)


class Affected(NamedTuple):
    """Whom an incident concerns: accounts, those that contradict most first, and the newest contradicting orders."""

    accounts: Sequence[AccountOut]
    orders: Sequence[str]


def going_on(connection: Connection, limit: int | None = None, after: int | None = None) -> list[Incident]:
    """The incidents that go on, by rank, the largest first. `after`: number of the last one of the page before."""
    query = select(incidents).where(incidents.c.ended_at.is_(None))
    if after is not None:
        rank = select(incidents.c.rank).where(incidents.c.number == after).scalar_subquery()
        query = query.where(or_(incidents.c.rank < rank, and_(incidents.c.rank == rank, incidents.c.number > after)))
    query = query.order_by(incidents.c.rank.desc(), incidents.c.number).limit(limit)
    return [incident_of(row) for row in connection.execute(query)]


def ended(connection: Connection, limit: int | None = None) -> list[Incident]:
    """The incidents that were resolved, closed or merged, the newest end first."""
    query = select(incidents).where(incidents.c.ended_at.is_not(None))
    query = query.order_by(incidents.c.ended_at.desc(), incidents.c.number.desc()).limit(limit)
    return [incident_of(row) for row in connection.execute(query)]


def acts(connection: Connection, number: int, vault: Vault) -> list[ActOut]:
    """Everything that was done about an incident, the oldest first."""
    query = select(incident_acts).where(incident_acts.c.number == number).order_by(incident_acts.c.act)
    found = []
    for row in connection.execute(query):
        event = _event.decode(row.event)
        found.append(
            ActOut(
                act=row.act,
                at=instant(row.at),
                by=row.by,
                what=row.what,
                change=row.change,
                state=event.state,
                severity=event.severity,
                owner=event.owner,
                until=None if event.until is None else instant(event.until),
                closing_cause=event.closing_cause,
                other=event.other,
                words=None if row.words is None else vault.open_bytes(row.words).decode(),
            )
        )
    return found


def accounts_and_orders(connection: Connection, incident: Incident) -> Affected:
    """The accounts and orders among the pairs of the cause since the day from which the fault is seen."""
    cause = incident.cause
    run = pairs_since(
        connection, Series(cause.dimension, cause.value, cause.signal), incident.then.since.toordinal()
    ).pairs
    by_account: dict[str, list[float]] = {}
    for pair in run:
        by_account.setdefault(pair.account, []).append(pair.x)
    listed = [AccountOut(account, len(xs), sum(sorted(xs))) for account, xs in by_account.items()]
    orders = [pair.order for pair in run if pair.x > 0.0]
    return Affected(sorted(listed, key=lambda each: (-each.contradicting, each.account)), orders[-ORDERS_SHOWN:][::-1])
