"""Alerts as reports and pages show them."""

from collections.abc import Sequence
from datetime import date
from typing import Any

import msgspec
from sqlalchemy import Connection, Row, Select, and_, or_, select

from pipeline.domain.access.principal import Principal
from pipeline.domain.detection.alerting import is_unverified
from pipeline.domain.detection.segments import Segment, Series
from pipeline.domain.incidents.incident import PREFIX
from pipeline.domain.reports.alerts import Alert
from pipeline.store.evidence.alerts import newest_pair_days
from pipeline.store.orders.memberships import visible_orders
from pipeline.store.reads.visible_segments import segment_visible
from pipeline.store.schema.alerting.incidents import incident_alerts
from pipeline.store.schema.evidence import alerts

_ALERTS = select(alerts, incident_alerts.c.number).outerjoin(
    incident_alerts, incident_alerts.c.alert_id == alerts.c.alert_id
)
_NOT_STORED_EARLIER = {"breakdown_rho": None, "orders": ()}  # the first versions stored evidence without these


def alerts_as_of(connection: Connection, principal: Principal, day: date) -> list[Alert]:
    """Every alert so far of the segments that the principal sees, oldest first, in the state that it has on that day.

    The orders of its evidence that they do not see, because they were moved to other segments since, are left out.
    """
    return _read(connection, principal, _ALERTS.order_by(alerts.c.opened_at, alerts.c.alert_id), day)


def _with_visible_orders(connection: Connection, principal: Principal, found: Sequence[Alert]) -> list[Alert]:
    named = {order_id for alert in found for order_id in alert.orders}
    seen = visible_orders(connection, principal, named)
    return [
        msgspec.structs.replace(alert, orders=tuple(order_id for order_id in alert.orders if order_id in seen))
        for alert in found
    ]


def newest_alerts(connection: Connection, principal: Principal, day: date, resolved: int) -> list[Alert]:
    """The open alerts and the `resolved` newest of the others, oldest first."""
    others = select(alerts.c.alert_id).where(alerts.c.state != "open", segment_visible(connection, alerts, principal))
    newest = others.order_by(alerts.c.opened_at.desc(), alerts.c.alert_id.desc()).limit(resolved)
    query = _ALERTS.where(or_(alerts.c.state == "open", alerts.c.alert_id.in_(newest)))
    return _read(connection, principal, query.order_by(alerts.c.opened_at, alerts.c.alert_id), day)


def alerts_page(
    connection: Connection, principal: Principal, day: date, limit: int, before: str | None = None
) -> list[Alert]:
    """Up to `limit` alerts, the newest first. `before`: id of the last one of the page before."""
    query = _ALERTS
    if before is not None:
        opened_at = connection.execute(select(alerts.c.opened_at).where(alerts.c.alert_id == before)).scalar()
        if opened_at is None:
            return []
        query = query.where(
            or_(alerts.c.opened_at < opened_at, and_(alerts.c.opened_at == opened_at, alerts.c.alert_id < before))
        )
    newest_first = query.order_by(alerts.c.opened_at.desc(), alerts.c.alert_id.desc())
    return _read(connection, principal, newest_first.limit(limit), day)


def alerts_of(connection: Connection, principal: Principal, day: date, segment: Segment, limit: int) -> list[Alert]:
    """The `limit` newest alerts of a segment that the principal sees, the newest first, in their state on that day."""
    here = alerts.c.dimension == segment.dimension, alerts.c.value == segment.value
    newest_first = _ALERTS.where(*here).order_by(alerts.c.opened_at.desc(), alerts.c.alert_id.desc())
    return _read(connection, principal, newest_first.limit(limit), day)


def alerts_named(connection: Connection, principal: Principal, day: date, ids: Sequence[str]) -> list[Alert]:
    """Those of the alerts that the principal sees, in the order of `ids`."""
    place = {alert_id: number for number, alert_id in enumerate(ids)}
    found = _read(connection, principal, _ALERTS.where(alerts.c.alert_id.in_(ids)), day)
    return sorted(found, key=lambda alert: place[alert.alert_id])


def _read(connection: Connection, principal: Principal, query: Select[Any], day: date) -> list[Alert]:
    rows = connection.execute(query.where(segment_visible(connection, alerts, principal))).all()
    last_days = newest_pair_days(
        connection, {Series(r.dimension, r.value, r.signal) for r in rows if r.state == "open"}
    )
    found = [
        _alert(
            row,
            unverified=is_unverified(
                row.signal, last_days.get(Series(row.dimension, row.value, row.signal)), day.toordinal()
            ),
        )
        for row in rows
    ]
    return found if principal.scope.is_everything else _with_visible_orders(connection, principal, found)


def _alert(row: Row[Any], *, unverified: bool) -> Alert:
    evidence = _NOT_STORED_EARLIER | msgspec.json.decode(row.evidence)
    incident = None if row.number is None else f"{PREFIX}{row.number}"
    names = [name for name in Alert.__struct_fields__ if name not in evidence and name != "incident"]
    shared = {name: getattr(row, name) for name in names} | {"incident": incident}
    state = "unverified" if row.state == "open" and unverified else row.state
    return msgspec.convert(evidence | shared | {"state": state}, Alert)
