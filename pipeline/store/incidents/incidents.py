"""The current state of incidents, their acts, and the incident of each alert.

One transaction at a time changes incidents (`UnitOfWork.lock_incidents`).
"""

from collections.abc import Mapping, Sequence
from datetime import datetime
from typing import Any

import msgspec
from sqlalchemy import Connection, Row, func, or_, select

from pipeline.domain.detection.explanation import Explanation
from pipeline.domain.events.incidents import Cause, IncidentChanged, Now, Then
from pipeline.domain.incidents.grouping import Known
from pipeline.domain.incidents.incident import REOPEN_WITHIN, Act, Incident
from pipeline.store.db.bulk import insert, upsert
from pipeline.store.schema.alerting.incidents import explanations, incident_acts, incident_alerts, incidents
from pipeline.store.schema.evidence import alerts

_ids = msgspec.json.Decoder(tuple[str, ...])
_then = msgspec.json.Decoder(Then)
_now = msgspec.json.Decoder(Now)
_explanation = msgspec.json.Decoder(Explanation)
_PLAIN = tuple(
    name
    for name in incidents.c.keys()  # noqa: SIM118 - a collection of columns has no other names
    if name not in ("signal", "dimension", "value", "signals", "alerts", "explains", "then", "now")
)


def incident_of(row: Row[Any]) -> Incident:
    """The incident of a row."""
    return Incident(
        cause=Cause(row.signal, row.dimension, row.value),
        signals=_ids.decode(row.signals),
        alerts=_ids.decode(row.alerts),
        explains=_ids.decode(row.explains),
        then=_then.decode(row.then),
        now=None if row.now is None else _now.decode(row.now),
        **{name: getattr(row, name) for name in _PLAIN},
    )


def find(connection: Connection, number: int) -> Incident | None:
    """An incident by its number."""
    row = connection.execute(select(incidents).where(incidents.c.number == number)).one_or_none()
    return None if row is None else incident_of(row)


def known(connection: Connection, now: datetime) -> Known:
    """The incidents that a grouping may continue: those that go on, those closed with open alerts, those just ended."""
    still_open = (
        select(incident_alerts.c.number)
        .join(alerts, alerts.c.alert_id == incident_alerts.c.alert_id)
        .where(alerts.c.state == "open")
    )
    active = or_(incidents.c.ended_at.is_(None), (incidents.c.status == "closed") & incidents.c.number.in_(still_open))
    ended = (incidents.c.status == "resolved") & (incidents.c.ended_at >= now - REOPEN_WITHIN)
    ordered = select(incidents).order_by(incidents.c.number)
    return Known(
        [incident_of(row) for row in connection.execute(ordered.where(active, incidents.c.merged_into.is_(None)))],
        [incident_of(row) for row in connection.execute(ordered.where(ended))],
        connection.execute(select(func.coalesce(func.max(incidents.c.number), 0))).scalar_one(),
    )


def has_active(connection: Connection) -> bool:
    """Whether any incident goes on."""
    return (
        connection.execute(select(incidents.c.number).where(incidents.c.ended_at.is_(None)).limit(1)).first()
        is not None
    )


def save(connection: Connection, changed: Sequence[Incident]) -> None:
    """Store the current state of incidents, and which alerts they have."""
    upsert(connection, incidents, [_row(incident) for incident in changed])
    held = [
        {"alert_id": alert, "number": incident.number}
        for incident in changed
        if incident.merged_into is None and incident.status != "resolved"
        for alert in (*incident.alerts, *incident.explains)
    ]
    upsert(connection, incident_alerts, held)


def add_act(
    connection: Connection, event: IncidentChanged, number: int, act: Act, what: str, words: bytes | None
) -> None:
    """Append an act as it is published. `words`: sealed."""
    row = {
        "number": number,
        "act": event.act,
        "at": event.at,
        "by": event.by,
        "what": what,
        "change": act.change,
        "event": msgspec.json.encode(event).decode(),
        "words": words,
    }
    insert(connection, incident_acts, [row])


def read_explanations(connection: Connection) -> dict[str, Explanation]:
    """By signal what was found last."""
    query = select(explanations.c.signal, explanations.c.result)
    return {signal: _explanation.decode(text) for signal, text in connection.execute(query)}


def grouped_at(connection: Connection, signal: str) -> datetime | None:
    """When the alerts of a signal were grouped last; None if they never were."""
    return connection.execute(select(explanations.c.grouped_at).where(explanations.c.signal == signal)).scalar()


def save_explanations(connection: Connection, found: Mapping[str, Explanation], now: datetime) -> None:
    """Keep what was found for some signals, and when."""
    rows = [
        {"signal": name, "result": msgspec.json.encode(found[name]).decode(), "grouped_at": now}
        for name in sorted(found)
    ]
    upsert(connection, explanations, rows)


def _row(incident: Incident) -> dict[str, Any]:
    texts = {
        name: msgspec.json.encode(getattr(incident, name)).decode()
        for name in ("signals", "alerts", "explains", "then")
    }
    now = None if incident.now is None else msgspec.json.encode(incident.now).decode()
    plain = {name: getattr(incident, name) for name in _PLAIN}
    return plain | texts | msgspec.structs.asdict(incident.cause) | {"now": now}
