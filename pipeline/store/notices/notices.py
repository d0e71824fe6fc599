"""The outbox of notices: written with the event that they are about, routed to receivers afterwards."""

from collections.abc import Collection, Sequence
from datetime import datetime

import msgspec
from msgspec.structs import replace
from sqlalchemy import Connection, delete, func, select

from pipeline.domain.events.incidents import IncidentChanged
from pipeline.domain.notices.notice import Notice
from pipeline.store.db.bulk import Row, among, insert_new
from pipeline.store.schema.alerting.incidents import incident_acts, incidents
from pipeline.store.schema.alerting.notices import deliveries, notices

_OPENED = "incident.opened"
_encode = msgspec.json.Encoder().encode
_decode = msgspec.json.Decoder(IncidentChanged).decode


def row(event_id: str, kind: str, data: IncidentChanged, now: datetime) -> Row:
    """The row of a notice that no receiver was chosen for yet."""
    return {
        "event_id": event_id,
        "type": kind,
        "incident_id": data.incident_id,
        "act": data.act,
        "data": _encode(data).decode(),
        "created_at": now,
        "unrouted": True,
    }


def record(connection: Connection, rows: Sequence[Row]) -> None:
    """Store notices; those that are stored already stay as they are."""
    insert_new(connection, notices, rows)


def introducing(connection: Connection, receiver: str, now: datetime) -> list[Notice]:
    """One notice for each incident that goes on, as it is now, for a receiver that has never had any. Stored once."""
    newest = (
        select(incident_acts.c.number, func.max(incident_acts.c.act).label("act"))
        .join(incidents, incidents.c.number == incident_acts.c.number)
        .where(incidents.c.ended_at.is_(None))
        .group_by(incident_acts.c.number)
        .subquery()
    )
    same = (incident_acts.c.number == newest.c.number) & (incident_acts.c.act == newest.c.act)
    waiting = select(notices.c.incident_id).where(notices.c.unrouted.is_(True))  # what follows reaches it anyway
    routed_later, found = set(connection.execute(waiting).scalars()), []
    for text in connection.execute(select(incident_acts.c.event).join(newest, same)).scalars():
        data = replace(_decode(text), change=None, rises=False, other=None)
        if not data.historic and data.incident_id not in routed_later:
            found.append(Notice(f"{data.incident_id}:{data.act}:{receiver}", _OPENED, data))
    record(connection, [row(one.id, one.type, one.data, now) | {"unrouted": None} for one in found])
    return found


def unrouted(connection: Connection, limit: int) -> list[Notice]:
    """The oldest notices that no receiver was chosen for, locked until the transaction ends."""
    query = (
        select(notices.c.event_id, notices.c.type, notices.c.data)
        .where(notices.c.unrouted.is_(True))
        .order_by(notices.c.created_at, notices.c.act)
        .limit(limit)
        .with_for_update(skip_locked=True)
    )
    return [_notice(*found) for found in connection.execute(query)]


def any_unrouted(connection: Connection) -> bool:
    """Whether there are notices that no receiver was chosen for."""
    query = select(notices.c.event_id).where(notices.c.unrouted.is_(True)).limit(1)
    return connection.execute(query).first() is not None


def mark_routed(connection: Connection, event_ids: Collection[str]) -> None:
    """Note that receivers were chosen for these notices."""
    connection.execute(notices.update().where(among(connection, notices.c.event_id, event_ids)).values(unrouted=None))


def read(connection: Connection, event_ids: Collection[str]) -> dict[str, Notice]:
    """Notices by the ids of their events."""
    query = select(notices.c.event_id, notices.c.type, notices.c.data)
    found = connection.execute(query.where(among(connection, notices.c.event_id, event_ids)))
    return {notice.id: notice for notice in (_notice(*each) for each in found)}


def delete_expired(connection: Connection, before: datetime, limit: int) -> int:
    """Delete routed notices from before that time whose deliveries are finished, with these. Returns the number."""
    waiting = select(deliveries.c.event_id).where(deliveries.c.wake_at.is_not(None))
    query = (
        select(notices.c.event_id)
        .where(notices.c.created_at < before, notices.c.unrouted.is_(None), notices.c.event_id.not_in(waiting))
        .limit(limit)
    )
    expired = list(connection.execute(query).scalars())
    for table in (deliveries, notices):
        connection.execute(delete(table).where(among(connection, table.c.event_id, expired)))
    return len(expired)


def _notice(event_id: str, kind: str, data: str) -> Notice:
    return Notice(event_id, kind, _decode(data))
