"""Alerts as reports and pages show them."""

from datetime import date
from typing import Any

import msgspec
from sqlalchemy import Connection, Row, Select, and_, or_, select

from pipeline.domain.detection.alerting import is_unverified
from pipeline.domain.detection.segments import Series
from pipeline.domain.incidents.incident import PREFIX
from pipeline.domain.reports.alerts import Alert
from pipeline.store.evidence.alerts import newest_pair_days
from pipeline.store.schema.evidence import alerts
from pipeline.store.schema.incidents import incident_alerts

_ALERTS = select(alerts, incident_alerts.c.number).outerjoin(
    incident_alerts, incident_alerts.c.alert_id == alerts.c.alert_id
)
_NOT_STORED_EARLIER = {"breakdown_rho": None, "orders": ()}  # the first versions stored evidence without these


def alerts_as_of(connection: Connection, day: date) -> list[Alert]:
    """Every alert so far, oldest first, in the state that it has on that day."""
    return _read(connection, _ALERTS.order_by(alerts.c.opened_at, alerts.c.alert_id), day)


def newest_alerts(connection: Connection, day: date, resolved: int) -> list[Alert]:
    """The open alerts and the `resolved` newest of the others, oldest first."""
    query = _ALERTS.order_by(alerts.c.opened_at.desc(), alerts.c.alert_id.desc())
    found = _read(connection, query.where(alerts.c.state == "open"), day)
    found += _read(connection, query.where(alerts.c.state != "open").limit(resolved), day)
    return sorted(found, key=lambda alert: (alert.opened_at, alert.alert_id))


def alerts_page(connection: Connection, day: date, limit: int, before: str | None = None) -> list[Alert]:
    """Up to `limit` alerts, the newest first. `before`: id of the last one of the page before."""
    query = _ALERTS
    if before is not None:
        opened_at = connection.execute(select(alerts.c.opened_at).where(alerts.c.alert_id == before)).scalar()
        if opened_at is None:
            return []
        query = query.where(
            or_(alerts.c.opened_at < opened_at, and_(alerts.c.opened_at == opened_at, alerts.c.alert_id < before))
        )
    return _read(connection, query.order_by(alerts.c.opened_at.desc(), alerts.c.alert_id.desc()).limit(limit), day)


def _read(connection: Connection, query: Select[Any], day: date) -> list[Alert]:
    rows = connection.execute(query).all()
    last_days = newest_pair_days(
        connection, {Series(r.dimension, r.value, r.signal) for r in rows if r.state == "open"}
    )
    return [
        _alert(
            row, unverified=is_unverified(last_days.get(Series(row.dimension, row.value, row.signal)), day.toordinal())
        )
        for row in rows
    ]


def _alert(row: Row[Any], *, unverified: bool) -> Alert:
    evidence = _NOT_STORED_EARLIER | msgspec.json.decode(row.evidence)
    incident = None if row.number is None else f"{PREFIX}{row.number}"
    names = [name for name in Alert.__struct_fields__ if name not in evidence and name != "incident"]
    shared = {name: getattr(row, name) for name in names} | {"incident": incident}
    state = "unverified" if row.state == "open" and unverified else row.state
    return msgspec.convert(evidence | shared | {"state": state}, Alert)
