"""An incident: one cause with its alerts, what it explains, its state and its owner."""

from collections.abc import Sequence
from datetime import date, datetime, timedelta
from typing import Literal, NamedTuple

from msgspec import Struct

from pipeline.domain.detection.alerting import Severity
from pipeline.domain.detection.segments import Segment
from pipeline.domain.events.incidents import (
    Cause,
    ClosingCause,
    IncidentChange,
    IncidentChanged,
    IncidentState,
    Now,
    Rate,
    Then,
)

SYSTEM = "system"
"""Who acts where something follows from the evidence or from time."""
PREFIX = "I-"
"""What the identity of an incident begins with."""
REOPEN_WITHIN = timedelta(days=30)
"""A cause that comes back within this time of the end of its incident reopens it."""

Status = Literal["open", "acknowledged", "assigned", "snoozed", "resolved", "closed"]
What = Literal["opened", "acknowledged", "assigned", "snoozed", "closed", "reopened", "changed"]

_RANK: dict[Severity | None, int] = {None: 0, "minor": 1, "major": 2, "critical": 3}


class AlertFacts(NamedTuple):
    """An open divergence as it was published last. Rates and the baseline `null` lie in [0, 1]."""

    alert_id: str
    signal: str
    segment: Segment
    severity: Severity | None
    opened_at: datetime
    since: date
    rate: Rate
    null: float
    unverified: bool = False

    @property
    def cause(self) -> Cause:
        """What the alert is about."""
        return Cause(self.signal, self.segment.dimension, self.segment.value)

    @property
    def then(self) -> Then:
        """The figures when it opened."""
        return Then(self.opened_at, self.since, self.rate, self.null)


class Incident(Struct, kw_only=True):
    """One incident. `alerts` are those with its cause, `explains` their echoes, both by id."""

    number: int
    status: Status
    cause: Cause
    signals: tuple[str, ...]
    alerts: tuple[str, ...]
    explains: tuple[str, ...]
    severity: Severity | None
    peak: Severity | None
    """The highest severity published so far."""
    opened_at: datetime
    changed_at: datetime
    then: Then
    now: Now | None = None
    rank: float = 0.0
    """Orders of the last 30 days that are affected at least: by this lists are sorted, the largest first."""
    unverified: bool = False
    """Whether no alert of the cause has had an answer for 30 days."""
    ended_at: datetime | None = None
    """When it was resolved, closed or merged."""
    owner: str | None = None
    until: datetime | None = None
    closing_cause: ClosingCause | None = None
    merged_into: str | None = None
    acts: int = 0
    """Number of acts and changes so far."""

    @property
    def incident_id(self) -> str:
        """The identity: stable for the life of the incident."""
        return f"{PREFIX}{self.number}"

    @property
    def segment(self) -> Segment:
        """The segment of the cause."""
        return Segment(self.cause.dimension, self.cause.value)

    @property
    def state(self) -> IncidentState:
        """The state to show: an incident without answers is unverified, whatever was done about it."""
        return "unverified" if self.unverified and self.ended_at is None else self.status

    @property
    def awake(self) -> Status:
        """The status after a snooze or a closing ends."""
        return "open" if self.owner is None else "assigned"


class Act(NamedTuple):
    """An act or change that is to be stored and published."""

    what: What
    by: str
    change: IncidentChange | None = None
    rises: bool = False
    other: str | None = None
    historic: bool = False
    """Whether it belongs to a replayed past."""
    words: str | None = None
    """What a person wrote; stored sealed, and published nowhere."""


def worse(one: Severity | None, other: Severity | None) -> bool:
    """Whether the first severity is higher."""
    return _RANK[one] > _RANK[other]


def worst(severities: Sequence[Severity | None]) -> Severity | None:
    """The highest severity; None of none."""
    return max(severities, key=_RANK.__getitem__, default=None)


def event_of(incident: Incident, act: Act, at: datetime) -> IncidentChanged:
    """What is published of an act: the incident as it is after it."""
    return IncidentChanged(
        incident_id=incident.incident_id,
        act=incident.acts,
        at=at,
        by=act.by,
        state=incident.state,
        severity=incident.severity,
        cause=incident.cause,
        signals=list(incident.signals),
        alerts=list(incident.alerts),
        explains=list(incident.explains),
        opened_at=incident.opened_at,
        then=incident.then,
        now=incident.now,
        change=act.change,
        rises=act.rises,
        owner=incident.owner,
        until=incident.until,
        closing_cause=incident.closing_cause,
        other=act.other,
        historic=act.historic,
    )
