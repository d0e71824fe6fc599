"""Alerts and a fleet, as the diagnosis gets them."""

from datetime import UTC, date, datetime
from typing import Any

from pipeline.domain.reports.alerts import Alert

HONEST = {
    "on_time": 930,
    "on_time:stated": 1_000,
    "on_time_first": 920,
    "on_time_first:stated": 1_000,
    "stated_arrival": 300,
    "scanned_early": 6,
    "missed_first": 80,
    "rescued": 6,
    "risk": 80,
    "risk:unreachable": 6,
    "clean": 920,
    "clean:unreachable": 50,
}


def alert(**changes: Any) -> Alert:
    known: dict[str, Any] = {
        "alert_id": "on_time/depot/Lille/1",
        "signal": "on_time",
        "dimension": "depot",
        "value": "Lille",
        "kind": "divergence",
        "state": "open",
        "severity": "critical",
        "opened_at": datetime(2026, 3, 20, tzinfo=UTC),
        "resolved_at": None,
        "pairs_before": 200,
        "since": date(2026, 3, 3),
        "run_n": 127,
        "run_rate": 21 / 127,
        "null": 0.05,
        "low": 0.09,
        "high": 0.27,
        "log10_e": 5.01,
        "accounts": 12,
        "breakdown_rho": 2.6,
        "orders": ("SO-1",),
    }
    return Alert(**known | changes)


def fleet(**odd: dict[str, int]) -> dict[str, dict[str, int]]:
    """Six honest depots, and those given, each different from an honest one in the counters given."""
    honest = {f"Honest {number}": dict(HONEST) for number in range(6)}
    return honest | {name: HONEST | counts for name, counts in odd.items()}
