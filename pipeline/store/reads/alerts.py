"""Alerts as reports and pages show them."""

from collections.abc import Iterable
from datetime import UTC, date
from typing import Any

import msgspec
from sqlalchemy import Connection, Row, and_, func, select

from pipeline.domain.detection.alerting import is_unverified
from pipeline.domain.reports.alerts import Alert
from pipeline.store.schema.evidence import alerts, evidence


class _Evidence(msgspec.Struct, frozen=True, kw_only=True):
    """The JSON in the column `alerts.evidence`."""

    pairs_before: int
    since: date
    run_n: int
    run_rate: float
    null: float
    low: float
    high: float
    log10_e: float
    accounts: int
    breakdown_rho: float | None = None
    orders: tuple[str, ...] = ()


_decoder = msgspec.json.Decoder(_Evidence)


def alerts_as_of(connection: Connection, day: date) -> list[Alert]:
    """Every alert so far, oldest first, in the state that it has on that day."""
    last_days = _last_pair_days(connection)
    query = select(alerts).order_by(alerts.c.opened_at, alerts.c.alert_id)
    found = []
    for row in connection.execute(query):
        last_day = last_days.get((row.signal, row.dimension, row.value))
        found.append(_alert(row, unverified=is_unverified(last_day, day.toordinal())))
    return found


def alerts_json(found: Iterable[Alert]) -> list[dict[str, Any]]:
    """The `alerts` of the contract, in the order given."""
    return [
        {
            "signal": alert.signal,
            "dimension": alert.dimension,
            "value": alert.value,
            "kind": alert.kind,
            "state": alert.state,
            "severity": alert.severity,
            "opened_at": alert.opened_at.astimezone(UTC).isoformat().replace("+00:00", "Z"),
            "pairs_before": alert.pairs_before,
            "since": alert.since.isoformat(),
            "run_n": alert.run_n,
            "run_rate": alert.run_rate,
            "null": alert.null,
            "log10_e": alert.log10_e,
        }
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
    state = "unverified" if row.state == "open" and unverified else row.state
    return msgspec.convert(
        {
            "alert_id": row.alert_id,
            "signal": row.signal,
            "dimension": row.dimension,
            "value": row.value,
            "kind": row.kind,
            "state": state,
            "severity": row.severity,
            "opened_at": row.opened_at,
            "resolved_at": row.resolved_at,
            **msgspec.structs.asdict(_decoder.decode(row.evidence)),
        },
        Alert,
    )
