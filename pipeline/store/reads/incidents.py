"""Incidents as reports and pages show them."""

from collections.abc import Collection, Sequence
from typing import NamedTuple

import msgspec
from msgspec.structs import replace
from sqlalchemy import Connection, and_, exists, func, literal, or_, select, union_all

from pipeline.domain.access.permissions import Permission
from pipeline.domain.access.principal import Principal
from pipeline.domain.detection.segments import Series
from pipeline.domain.events.incidents import IncidentChanged
from pipeline.domain.incidents.incident import Incident
from pipeline.domain.reports.embellishment import effective_addresses, is_shared_address
from pipeline.domain.reports.incidents import AccountOut, ActOut, AddressesOut, instant
from pipeline.store.db.bulk import among
from pipeline.store.incidents import incidents as incidents_store
from pipeline.store.incidents.incidents import incident_of
from pipeline.store.incidents.open_alerts import pairs_since
from pipeline.store.orders.memberships import visible, visible_orders
from pipeline.store.people.vault import Vault
from pipeline.store.reads.visible_segments import segment_visible
from pipeline.store.schema.alerting.incidents import incident_acts, incidents
from pipeline.store.schema.asks import IS_QUESTION, asks
from pipeline.store.schema.evidence import pairs
from pipeline.store.schema.orders import orders

ORDERS_SHOWN = 50
_event = msgspec.json.Decoder(IncidentChanged)


class Affected(NamedTuple):
    """Whom an incident concerns: accounts, those that contradict most first, and the newest contradicting orders."""

    accounts: Sequence[AccountOut]
    orders: Sequence[str]
    addresses: AddressesOut


def find(connection: Connection, principal: Principal, number: int) -> Incident | None:
    """An incident by its number; None if there is none, or the principal does not see its segment."""
    found = incidents_store.find(connection, number)
    if found is None or not principal.scope.sees_segment(found.cause.dimension, found.cause.value):
        return None
    return visible_part(found, principal)


def visible_part(incident: Incident, principal: Principal) -> Incident:
    """An incident with only those of its alerts whose segments the principal sees."""
    if principal.scope.is_everything:
        return incident
    sees = principal.scope.sees_alert
    return replace(
        incident, alerts=tuple(filter(sees, incident.alerts)), explains=tuple(filter(sees, incident.explains))
    )


def going_on(
    connection: Connection, principal: Principal, limit: int | None = None, after: int | None = None
) -> list[Incident]:
    """The incidents that go on, by rank, the largest first. `after`: number of the last one of the page before."""
    visible = segment_visible(connection, incidents, principal)
    query = select(incidents).where(incidents.c.ended_at.is_(None), visible)
    if after is not None:
        rank = select(incidents.c.rank).where(incidents.c.number == after).scalar_subquery()
        query = query.where(or_(incidents.c.rank < rank, and_(incidents.c.rank == rank, incidents.c.number > after)))
    query = query.order_by(incidents.c.rank.desc(), incidents.c.number).limit(limit)
    return [visible_part(incident_of(row), principal) for row in connection.execute(query)]


def ended(connection: Connection, principal: Principal, limit: int | None = None) -> list[Incident]:
    """The incidents that were resolved, closed or merged, the newest end first."""
    visible = segment_visible(connection, incidents, principal)
    query = select(incidents).where(incidents.c.ended_at.is_not(None), visible)
    query = query.order_by(incidents.c.ended_at.desc(), incidents.c.number.desc()).limit(limit)
    return [visible_part(incident_of(row), principal) for row in connection.execute(query)]


def acts(connection: Connection, principal: Principal, number: int, vault: Vault) -> list[ActOut]:
    """Everything that was done about an incident, the oldest first; its words only for those who may read words."""
    may_read = principal.may(Permission.WORDS)
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
                words=None if row.words is None or not may_read else vault.open_bytes(row.words).decode(),
            )
        )
    return found


def numbers_of_accounts(connection: Connection, principal: Principal, found: Sequence[Incident]) -> dict[int, int]:
    """Of each incident how many accounts contradict the claim since its fault is seen, in one query."""
    queries = []
    for one in found:
        cause = one.cause
        of_cause = pairs.c.dimension == cause.dimension, pairs.c.value == cause.value, pairs.c.signal == cause.signal
        number = select(literal(one.number), func.count(pairs.c.account_id.distinct()))
        query = number.where(*of_cause, pairs.c.day >= one.then.since.toordinal(), pairs.c.x > 0.0)
        if not principal.scope.is_everything:
            seen = orders.c.order_id == pairs.c.order_id, visible(connection, principal)
            query = query.where(exists().where(*seen))
        queries.append(query)
    rows = connection.execute(union_all(*queries)) if queries else ()
    return {row[0]: row[1] for row in rows}


def accounts_and_orders(connection: Connection, principal: Principal, incident: Incident) -> Affected:
    """The accounts and orders that the principal sees, of the pairs of the cause since its fault is seen."""
    cause = incident.cause
    run = pairs_since(
        connection, Series(cause.dimension, cause.value, cause.signal), incident.then.since.toordinal()
    ).pairs
    if not principal.scope.is_everything:
        seen = visible_orders(connection, principal, {pair.order for pair in run})
        run = [pair for pair in run if pair.order in seen]
    by_account: dict[str, list[float]] = {}
    for pair in run:
        by_account.setdefault(pair.account, []).append(pair.x)
    listed = [AccountOut(account, len(xs), sum(sorted(xs))) for account, xs in by_account.items()]
    orders = [pair.order for pair in run if pair.x > 0.0]
    return Affected(
        sorted(listed, key=lambda each: (-each.contradicting, each.account)),
        orders[-ORDERS_SHOWN:][::-1],
        _addresses(connection, {pair.order for pair in run}),
    )


def _addresses(connection: Connection, order_ids: Collection[str]) -> AddressesOut:
    """The addresses that were asked about these orders, and how many of them serve several accounts, at any time."""
    asked = asks.c.address.is_not(None), asks.c.reason.is_(None), IS_QUESTION
    of_orders = select(asks.c.address, func.count()).where(*asked, among(connection, asks.c.order_id, order_ids))
    messages = {address: int(n) for address, n in connection.execute(of_orders.group_by(asks.c.address))}
    accounts = select(asks.c.address, func.count(asks.c.account_id.distinct()))
    serving = connection.execute(
        accounts.where(*asked, among(connection, asks.c.address, messages.keys())).group_by(asks.c.address)
    ).all()
    shared = sum(is_shared_address(n) for _, n in serving)
    return AddressesOut(len(messages), effective_addresses(messages.values()), shared)
