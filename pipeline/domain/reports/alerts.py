"""An alert as reports, pages and messages show it."""

from datetime import date, datetime
from typing import Literal

from msgspec import Struct

from pipeline.domain.detection.alerting import Kind, Severity


class Alert(Struct, frozen=True, kw_only=True):
    """An alert as it stands, with the evidence it rests on. Rates and the null lie in [0, 1]."""

    alert_id: str
    signal: str
    dimension: str
    value: str
    kind: Kind
    state: Literal["open", "unverified", "resolved"]
    severity: Severity | None
    opened_at: datetime
    resolved_at: datetime | None
    pairs_before: int
    since: date
    run_n: int
    run_rate: float
    null: float
    low: float
    high: float
    log10_e: float
    """log10 of the evidence R, in days: an honest segment gets this far at most once in R days on average."""
    accounts: int
    """Different accounts among those that disagree."""
    breakdown_rho: float | None
    orders: tuple[str, ...]
