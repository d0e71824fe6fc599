"""Alerts as rows of the database."""

import json
from datetime import UTC, datetime
from typing import Any

from sqlalchemy import Connection

from pipeline.store.schema.evidence import alerts

OPENED = datetime(2026, 3, 20, 10, 30, tzinfo=UTC)


def raise_alert(connection: Connection, alert_id: str, opened_at: datetime = OPENED, **changes: Any) -> None:
    proof = {
        "pairs_before": 200,
        "since": "2026-03-03",
        "run_n": 127,
        "run_rate": 21 / 127,
        "null": 0.05,
        "low": 0.09,
        "high": 0.27,
        "log10_e": 5.01,
        "accounts": 12,
        "breakdown_rho": 2.6,
        "orders": ["SO-1", "SO-2"],
    }
    row = {
        "alert_id": alert_id,
        "signal": "on_time",
        "dimension": "depot",
        "value": "Lyon",
        "kind": "divergence",
        "state": "open",
        "severity": "critical",
        "opened_at": opened_at,
        "changed_at": opened_at,
        "resolved_at": None,
        "evidence": json.dumps(proof | changes.pop("proof", {})),
    }
    connection.execute(alerts.insert(), [row | changes])
