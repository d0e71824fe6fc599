"""Proposed corrections of answers, from the proposal until its event is submitted."""

from collections.abc import Collection
from datetime import datetime
from typing import NamedTuple

import msgspec
from sqlalchemy import Connection, and_, func, select

from pipeline.domain.access.principal import Principal
from pipeline.domain.events.contract import Reading
from pipeline.store.db.bulk import among_rows
from pipeline.store.orders.memberships import visible
from pipeline.store.schema.orders import orders
from pipeline.store.schema.users import corrections

_WAITS = and_(corrections.c.counted_at.is_(None), corrections.c.replaced.is_(False))
_reading = msgspec.json.Decoder(Reading)


class StoredCorrection(NamedTuple):
    """One correction. `counted_at` None: it waits."""

    correction_id: str
    order_id: str
    contact_id: str
    source: str
    answer_id: str
    reading: Reading
    by: str
    proposed_at: datetime
    confirmed_by: str | None = None
    counted_at: datetime | None = None


def add(connection: Connection, proposal: StoredCorrection) -> None:
    """Store a proposal."""
    reading = msgspec.json.encode(proposal.reading).decode()
    connection.execute(corrections.insert(), proposal._asdict() | {"reading": reading})


def find(connection: Connection, principal: Principal, correction_id: str) -> StoredCorrection | None:
    """A correction of an order that the principal sees, locked until commit; None if there is none."""
    query = _query(connection, principal).where(corrections.c.correction_id == correction_id)
    row = connection.execute(query.with_for_update(of=corrections)).one_or_none()
    return None if row is None else _stored(row)


def waiting(
    connection: Connection,
    principal: Principal,
    until: datetime | None = None,
    *,
    order_id: str | None = None,
    limit: int | None = None,
) -> list[StoredCorrection]:
    """The corrections of orders that the principal sees that wait, oldest first; only those proposed by `until`, or of
    one order, and at most `limit`.
    """
    query = _query(connection, principal).where(_WAITS)
    if until is not None:
        query = query.where(corrections.c.proposed_at <= until)
    if order_id is not None:
        query = query.where(corrections.c.order_id == order_id)
    oldest_first = corrections.c.proposed_at, corrections.c.correction_id
    return [_stored(row) for row in connection.execute(query.order_by(*oldest_first).limit(limit))]


def number_waiting(connection: Connection, principal: Principal) -> int:
    """How many corrections of orders that the principal sees wait."""
    waits = _query(connection, principal).where(_WAITS).subquery()
    found: int = connection.execute(select(func.count()).select_from(waits)).scalar_one()
    return found


def mark_replaced(connection: Connection, contacts: Collection[tuple[str, str]]) -> None:
    """End the waiting of corrections of what these contacts (order, contact) said before: they have answered again."""
    if contacts:
        theirs = among_rows(connection, (corrections.c.order_id, corrections.c.contact_id), sorted(contacts))
        connection.execute(corrections.update().where(theirs, _WAITS).values(replaced=True))


def mark_counted(connection: Connection, correction_id: str, confirmed_by: str | None, now: datetime) -> bool:
    """Note that a correction counts. False: it did already."""
    still = corrections.c.correction_id == correction_id, corrections.c.counted_at.is_(None)
    statement = corrections.update().where(*still).values(counted_at=now, confirmed_by=confirmed_by)
    return connection.execute(statement).rowcount == 1


def _query(connection: Connection, principal: Principal):  # type: ignore[no-untyped-def]
    query = select(*(corrections.c[name] for name in StoredCorrection._fields))
    if principal.scope.is_everything:
        return query
    return query.join(orders, orders.c.order_id == corrections.c.order_id).where(visible(connection, principal))


def _stored(row: tuple[object, ...]) -> StoredCorrection:
    found = StoredCorrection(*row)  # type: ignore[arg-type]
    return found._replace(reading=_reading.decode(str(found.reading)))
