"""The alerts of each segment and signal, as they were published last."""

from datetime import datetime

import msgspec
from sqlalchemy import ColumnElement, Connection, func, select

from pipeline.domain.detection.publication import PublishedAlert
from pipeline.domain.detection.segments import Series
from pipeline.domain.events.contract import AlertRaised
from pipeline.store.db.bulk import upsert
from pipeline.store.schema.evidence import alerts


def read_open(connection: Connection, series: Series) -> PublishedAlert | int:
    """The open alert of a series. If none is open, the number of its earlier alerts."""
    query = select(alerts.c.alert_id, alerts.c.kind, alerts.c.severity, alerts.c.opened_at, alerts.c.evidence)
    row = connection.execute(query.where(*_of(series), alerts.c.state == "open")).one_or_none()
    if row is None:
        return connection.execute(select(func.count()).select_from(alerts).where(*_of(series))).scalar_one()
    return PublishedAlert(*row[:-1], msgspec.json.decode(row.evidence))


def store(connection: Connection, alert: AlertRaised, opened_at: datetime, now: datetime) -> None:
    """Store an alert as it is published at `now`."""
    row = {
        "alert_id": alert.alert_id,
        "dimension": alert.dimension,
        "value": alert.value,
        "signal": alert.signal,
        "kind": alert.kind,
        "state": alert.state,
        "severity": alert.severity,
        "opened_at": opened_at,
        "changed_at": now,
        "resolved_at": now if alert.state == "resolved" else None,
        "evidence": msgspec.json.encode(alert.evidence).decode(),
    }
    upsert(connection, alerts, [row])


def _of(series: Series) -> tuple[ColumnElement[bool], ...]:
    return (
        alerts.c.dimension == series.dimension,
        alerts.c.value == series.value,
        alerts.c.signal == series.signal,
    )
