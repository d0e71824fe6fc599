"""What is published about incidents: ids, codes and figures. Words and contacts travel on no topic."""

from datetime import date, datetime
from typing import Annotated, Literal

from msgspec import Meta, Struct

Moment = Annotated[datetime, Meta(tz=True)]

Severity = Literal["minor", "major", "critical"]
IncidentState = Literal["open", "acknowledged", "assigned", "snoozed", "resolved", "closed", "unverified"]
IncidentChange = Literal["merged", "split", "escalated", "resolved", "unverified", "regrouped"]
Trend = Literal["better", "unchanged", "worse", "too_few"]
ClosingCause = Literal[
    "carrier", "depot", "planning", "supplier", "data", "customer", "promise", "reporting", "no_fault_found", "other"
]
"""The cause that a person found, for `incident.closed`."""


class Cause(Struct, frozen=True):
    """What an incident is about: one signal of one segment, or of a source of events."""

    signal: str
    dimension: str
    value: str


class Rate(Struct, frozen=True):
    """A rate in [0, 1] with its 95 % interval; `n`: number of pairs."""

    value: float
    low: float
    high: float
    n: int


class Then(Struct, frozen=True):
    """The figures when the incident opened. `since`: first day of the run. `null`: the baseline."""

    at: Moment
    since: date
    rate: Rate | None
    null: float | None


class Now(Struct, frozen=True):
    """The figures of the 14 and of the 30 days that end with `day`. None: nothing was counted in them."""

    day: date
    last_14_days: Rate | None
    last_30_days: Rate | None
    null: float | None
    trend: Trend


class IncidentChanged(Struct, frozen=True, kw_only=True):
    """An act or change of an incident, and what the incident is after it.

    `incident.changed` has a `change`: merged (`other` goes on instead), split (from `other`), escalated, resolved,
    unverified, regrouped.
    """

    incident_id: str
    act: int
    """Number of the act in its incident, from 1: later acts have larger ones."""
    at: Moment
    by: str
    """The user who acted, by id; `system` for what follows from the evidence."""
    state: IncidentState
    severity: Severity | None
    cause: Cause
    signals: list[str]
    """All signals of the cause's segment that belong to the incident."""
    alerts: list[str]
    """The open alerts with the incident's cause, by id."""
    explains: list[str]
    """The open alerts that are echoes of the cause, by id."""
    opened_at: Moment
    then: Then
    now: Now | None
    change: IncidentChange | None = None
    rises: bool = False
    """Whether the severity is higher than any published of this incident before."""
    owner: str | None = None
    until: Moment | None = None
    """When a snoozed incident returns."""
    closing_cause: ClosingCause | None = None
    other: str | None = None
    """The other incident of a merge or a split."""
    historic: bool = False
    """Whether the change belongs to a replayed past, about which nobody is to be notified."""
