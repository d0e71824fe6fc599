"""Reports and alerts as JSON: the read API serves it, and `--format json` prints it. The field names never change."""

from collections.abc import Iterable, Mapping
from datetime import UTC
from typing import Any, Literal

import msgspec
from msgspec import Struct

from pipeline.domain.detection.alerting import Kind, Severity
from pipeline.domain.reports.alerts import Alert
from pipeline.domain.reports.counts import Counts
from pipeline.domain.reports.figures import Row, row_of


class ReportOut(Struct, frozen=True):
    """All orders (`total`), and the segments of the level in `by`."""

    total: Row
    segments: dict[str, Row]


class AlertOut(Struct, frozen=True):
    """An alert in its current state. Rates and `null`, the tolerance for honest mistakes, lie between 0 and 1."""

    signal: str
    dimension: str
    value: str
    kind: Kind
    state: Literal["open", "unverified", "resolved"]
    severity: Severity | None
    opened_at: str
    pairs_before: int
    since: str
    run_n: int
    run_rate: float
    null: float
    log10_e: float
    incident: str | None


def report_of(fleet: Counts, segments: Mapping[str, Counts]) -> ReportOut:
    """The report, from summed counters."""
    return ReportOut(row_of(fleet), {value: row_of(counts) for value, counts in segments.items()})


def alert_of(alert: Alert) -> AlertOut:
    """An alert, with instants and days as text."""
    opened_at = alert.opened_at.astimezone(UTC).isoformat().replace("+00:00", "Z")
    texts = {"opened_at": opened_at, "since": alert.since.isoformat()}
    return msgspec.convert(msgspec.structs.asdict(alert) | texts, AlertOut)


def report_json(fleet: Counts, segments: Mapping[str, Counts]) -> dict[str, Any]:
    """The report as JSON values, unrounded: rounding twice could change the last digit."""
    found: dict[str, Any] = msgspec.to_builtins(report_of(fleet, segments))
    return found


def alerts_json(alerts: Iterable[Alert]) -> list[dict[str, Any]]:
    """Alerts as JSON values, in the order given."""
    return [msgspec.to_builtins(alert_of(alert)) for alert in alerts]
