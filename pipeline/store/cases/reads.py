"""Cases as reports and pages show them: to whoever sees the order, or the segment of the incident."""

from collections.abc import Collection
from datetime import datetime
from typing import Any, NamedTuple, TypeVar

import msgspec
from sqlalchemy import Connection, Select, and_, func, or_, select

from pipeline.domain.access.permissions import Permission
from pipeline.domain.access.principal import Principal
from pipeline.domain.cases.case import Case
from pipeline.domain.events.cases import CaseChanged
from pipeline.domain.reports.cases import CaseActOut
from pipeline.domain.reports.incidents import instant
from pipeline.store.cases.cases import case_of
from pipeline.store.db.bulk import among
from pipeline.store.orders.memberships import visible
from pipeline.store.people.keys import open_words
from pipeline.store.people.vault import Vault
from pipeline.store.reads.inbox import Concerned, Utterance, utterances
from pipeline.store.reads.visible_segments import segment_visible
from pipeline.store.schema.alerting.cases import IS_CLOSED, IS_OPEN, case_acts, cases
from pipeline.store.schema.alerting.incidents import incidents
from pipeline.store.schema.orders import orders

_event = msgspec.json.Decoder(CaseChanged)
_Row = TypeVar("_Row", bound=tuple[Any, ...])


class CaseLoad(NamedTuple):
    """What metrics show of the open cases. `oldest`: when the one that is open longest was opened; None: none is."""

    by_severity: dict[str, int]
    overdue: int
    oldest: datetime | None


def find(connection: Connection, principal: Principal, case_id: str) -> Case | None:
    """A case by its id; None if there is none, or the principal does not see it."""
    query = seen(select(cases).where(cases.c.case_id == case_id), connection, principal)
    row = connection.execute(query).one_or_none()
    return None if row is None else case_of(row)


def of_order(connection: Connection, principal: Principal, order_id: str) -> list[Case]:
    """The cases about an order, the oldest first."""
    query = seen(select(cases).where(cases.c.order_id == order_id), connection, principal)
    return [case_of(row) for row in connection.execute(query.order_by(cases.c.opened_at, cases.c.case_id))]


def of_account(connection: Connection, principal: Principal, account_id: str, limit: int) -> list[Case]:
    """The newest cases about orders of an account, the open ones first."""
    query = seen(select(cases).where(cases.c.account_id == account_id), connection, principal)
    newest = cases.c.closed_at.is_not(None), cases.c.opened_at.desc(), cases.c.case_id
    return [case_of(row) for row in connection.execute(query.order_by(*newest).limit(limit))]


def open_by_account(connection: Connection, principal: Principal, account_ids: Collection[str]) -> dict[str, int]:
    """How many cases about orders of each of these accounts are open; accounts without one are left out."""
    query = select(cases.c.account_id, func.count()).where(
        IS_OPEN, among(connection, cases.c.account_id, sorted(account_ids))
    )
    grouped = seen(query, connection, principal).group_by(cases.c.account_id)
    return {row[0]: row[1] for row in connection.execute(grouped)}


def still_open(
    connection: Connection, principal: Principal, limit: int, after: str | None = None, owner: str | None = None
) -> list[Case]:
    """The open cases, those that are due first at the front. `after`: id of the last one of the page before."""
    query = select(cases).where(IS_OPEN)
    if after is not None:
        due_at = select(cases.c.due_at).where(cases.c.case_id == after).scalar_subquery()
        query = query.where(or_(cases.c.due_at > due_at, and_(cases.c.due_at == due_at, cases.c.case_id > after)))
    query = seen(_owned(query, owner), connection, principal)
    return [case_of(row) for row in connection.execute(query.order_by(cases.c.due_at, cases.c.case_id).limit(limit))]


def closed(
    connection: Connection, principal: Principal, limit: int, after: str | None = None, owner: str | None = None
) -> list[Case]:
    """The closed cases, the newest closing first. `after`: id of the last one of the page before."""
    query = select(cases).where(IS_CLOSED)
    if after is not None:
        at = select(cases.c.closed_at).where(cases.c.case_id == after).scalar_subquery()
        query = query.where(or_(cases.c.closed_at < at, and_(cases.c.closed_at == at, cases.c.case_id < after)))
    query = seen(_owned(query, owner), connection, principal)
    newest_first = cases.c.closed_at.desc(), cases.c.case_id.desc()
    return [case_of(row) for row in connection.execute(query.order_by(*newest_first).limit(limit))]


def number_open(connection: Connection, principal: Principal) -> tuple[int, int]:
    """How many cases are open, and how many of them are overdue."""
    columns: list[Any] = [func.count(), func.count().filter(cases.c.overdue)]
    query: Select[Any] = select(*columns).select_from(cases).where(IS_OPEN)
    number, overdue = connection.execute(seen(query, connection, principal)).one()
    return int(number), int(overdue)


def load_of(connection: Connection) -> CaseLoad:
    """The open cases of everybody, for metrics."""
    query = select(cases.c.severity, func.count(), func.count().filter(cases.c.overdue), func.min(cases.c.opened_at))
    rows = connection.execute(query.where(IS_OPEN).group_by(cases.c.severity)).all()
    return CaseLoad(
        {severity: n for severity, n, _, _ in rows},
        sum(overdue for _, _, overdue, _ in rows),
        min((oldest for *_, oldest in rows), default=None),
    )


def acts(connection: Connection, principal: Principal, case_id: str, vault: Vault) -> list[CaseActOut]:
    """Everything that was done about a case that the principal sees, the oldest first.

    Words only for those who may read them, and of nobody who was erased.
    """
    rows = connection.execute(select(case_acts).where(case_acts.c.case_id == case_id).order_by(case_acts.c.act)).all()
    tokens = [row.words for row in rows] if principal.may(Permission.WORDS) else []
    texts = open_words(connection, vault, tokens)
    found = []
    for row in rows:
        event = _event.decode(row.event)
        found.append(
            CaseActOut(
                act=row.act,
                at=instant(row.at),
                by=row.by,
                what=row.what,
                change=row.change,
                state=event.state,
                severity=event.severity,
                owner=event.owner,
                due_at=instant(event.due_at),
                outcome=event.outcome,
                note=event.note,
                words=texts.get(row.words or ""),
            )
        )
    return found


def conversation(connection: Connection, principal: Principal, case: Case, vault: Vault) -> list[Utterance]:
    """The conversation with the contact about the order; nothing for those who may not read words."""
    if case.order_id is None or not principal.may(Permission.WORDS):
        return []
    return utterances(connection, principal, vault, Concerned(case.order_id, case.contact_id))


def _owned(query: Select[Any], owner: str | None) -> Select[Any]:
    return query if owner is None else query.where(cases.c.owner == owner)


def seen(query: Select[_Row], connection: Connection, principal: Principal) -> Select[_Row]:
    """The query of cases, for those that the principal sees."""
    if principal.scope.is_everything:
        return query
    seen = select(incidents.c.number).where(segment_visible(connection, incidents, principal))
    of_order = and_(cases.c.order_id.is_not(None), visible(connection, principal))
    joined = query.outerjoin(orders, orders.c.order_id == cases.c.order_id)
    return joined.where(or_(of_order, cases.c.incident.in_(seen)))
