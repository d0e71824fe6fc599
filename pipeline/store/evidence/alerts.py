"""The alerts of each segment and signal, as they were published last."""

from collections.abc import Collection
from datetime import datetime

import msgspec
from sqlalchemy import ColumnElement, Connection, Label, Text, func, literal, select, union_all

from pipeline.domain.detection.publication import PublishedAlert
from pipeline.domain.detection.segments import Series
from pipeline.domain.events.contract import AlertRaised
from pipeline.store.db.bulk import upsert
from pipeline.store.schema.evidence import alerts, evidence

_SERIES = 200  # asked for at once: SQLite limits the terms of a statement


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


def newest_pair_days(connection: Connection, wanted: Collection[Series]) -> dict[Series, int]:
    """The newest day of each of these series that has a pair: one key of the index for each, whatever its history."""
    listed, found = sorted(wanted), dict[Series, int]()
    for first in range(0, len(listed), _SERIES):
        some = union_all(*(select(*_literals(series)) for series in listed[first : first + _SERIES])).subquery()
        same = [evidence.c[name] == some.c[name] for name in Series._fields]
        newest = select(func.max(evidence.c.day)).where(*same).scalar_subquery()
        rows = connection.execute(select(*(some.c[name] for name in Series._fields), newest))
        found.update({Series(*series): day for *series, day in rows if day is not None})
    return found


def _literals(series: Series) -> list[Label[str]]:
    return [literal(value, Text()).label(name) for name, value in series._asdict().items()]


def _of(series: Series) -> tuple[ColumnElement[bool], ...]:
    return (
        alerts.c.dimension == series.dimension,
        alerts.c.value == series.value,
        alerts.c.signal == series.signal,
    )
