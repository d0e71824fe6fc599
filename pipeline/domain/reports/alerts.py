"""An alert as reports, pages and messages show it, and the groups in which lists of alerts present them."""

from collections.abc import Sequence
from datetime import date, datetime
from typing import Literal

from msgspec import Struct

from pipeline.domain.detection.alerting import Kind, Severity

AlertGroup = Literal["open", "information", "unverified", "resolved"]
"""`open`: claims shown not to hold, which notify. `information`: open alerts that notify no one. `unverified`: open,
but no answers arrive any more. `resolved`: over."""
_GROUPS: tuple[AlertGroup, ...] = ("open", "information", "unverified", "resolved")  # most urgent first


class Alert(Struct, frozen=True, kw_only=True):
    """An alert with the evidence it rests on. Rates and the baseline (`null`) lie in [0, 1]."""

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
    """log10 of the evidence R, in days: an honest segment reaches R at most once in R days on average."""
    accounts: int
    """Number of accounts among the pairs that contradict the claim."""
    breakdown_rho: float | None
    orders: tuple[str, ...]
    incident: str | None = None
    """The incident that has it, or had it last; None: it notified no one."""

    @property
    def notifies(self) -> bool:
        """Whether the alert is one to act on: an open divergence."""
        return self.state == "open" and self.kind == "divergence"

    @property
    def group(self) -> AlertGroup:
        """The group under which lists present the alert."""
        if self.state != "open":
            return self.state
        return "open" if self.notifies else "information"


def grouped(alerts: Sequence[Alert]) -> list[tuple[AlertGroup, list[Alert]]]:
    """The alerts by group, the most urgent group first, empty groups omitted; within a group in the given order."""
    groups = [(name, [alert for alert in alerts if alert.group == name]) for name in _GROUPS]
    return [(name, members) for name, members in groups if members]
