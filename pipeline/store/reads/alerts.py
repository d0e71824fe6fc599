"""Alerts as reports and pages show them."""

from collections.abc import Sequence
from datetime import date
from typing import Any

import msgspec
from sqlalchemy import Connection, Row, and_, func, select

from pipeline.domain.access.principal import Principal
from pipeline.domain.detection.alerting import is_unverified
from pipeline.domain.reports.alerts import Alert
from pipeline.store.db.bulk import among
from pipeline.store.orders.memberships import visible
from pipeline.store.schema.evidence import alerts, evidence
from pipeline.store.schema.orders import orders

_NOT_STORED_EARLIER = {"breakdown_rho": None, "orders": ()}  # the first versions stored evidence without these


def alerts_as_of(connection: Connection, principal: Principal, day: date) -> list[Alert]:
    """Every alert so far of the segments that the principal sees, oldest first, in the state that it has on that day.

    The orders of its evidence that they do not see, because they were moved to other segments since, are left out.
    """
    last_days = _last_pair_days(connection)
    query = select(alerts).order_by(alerts.c.opened_at, alerts.c.alert_id)
    found = []
    for row in connection.execute(query):
        if not principal.scope.sees_segment(row.dimension, row.value):
            continue
        last_day = last_days.get((row.signal, row.dimension, row.value))
        found.append(_alert(row, unverified=is_unverified(last_day, day.toordinal())))
    return found if principal.scope.is_everything else _with_visible_orders(connection, principal, found)


def _with_visible_orders(connection: Connection, principal: Principal, found: Sequence[Alert]) -> list[Alert]:
    named = {order_id for alert in found for order_id in alert.orders}
    query = select(orders.c.order_id).where(
        among(connection, orders.c.order_id, sorted(named)), visible(connection, principal)
    )
    seen = set(connection.execute(query).scalars())
    return [
        msgspec.structs.replace(alert, orders=tuple(order_id for order_id in alert.orders if order_id in seen))
        for alert in found
    ]


def _last_pair_days(connection: Connection) -> dict[tuple[str, str, str], int]:
    """The newest day that has a pair, for each (signal, dimension, value) that ever had an alert."""
    segment = (evidence.c.signal, evidence.c.dimension, evidence.c.value)
    alerted = select(alerts.c.signal, alerts.c.dimension, alerts.c.value).distinct().subquery()
    query = (
        select(*segment, func.max(evidence.c.day))
        .join(
            alerted,
            and_(
                evidence.c.signal == alerted.c.signal,
                evidence.c.dimension == alerted.c.dimension,
                evidence.c.value == alerted.c.value,
            ),
        )
        .group_by(*segment)
    )
    return {(signal, dimension, value): day for signal, dimension, value, day in connection.execute(query)}


def _alert(row: Row[Any], *, unverified: bool) -> Alert:
    evidence = _NOT_STORED_EARLIER | msgspec.json.decode(row.evidence)
    shared = {name: getattr(row, name) for name in Alert.__struct_fields__ if name not in evidence}
    state = "unverified" if row.state == "open" and unverified else row.state
    return msgspec.convert(evidence | shared | {"state": state}, Alert)
