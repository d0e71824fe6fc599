"""Incidents as JSON: the read API serves it, and `--format json` prints it. The field names never change."""

from datetime import UTC, datetime

from msgspec import Struct

from pipeline.domain.detection.alerting import Severity
from pipeline.domain.events.incidents import Cause, ClosingCause, IncidentState, Now, Then
from pipeline.domain.incidents.incident import Incident


class IncidentOut(Struct, frozen=True):
    """One incident. `then`: the figures at its opening; `now`: those of the last 14 and 30 days, and the trend.

    `rank`: orders a month that are affected at least. Rates and `null` lie between 0 and 1.
    """

    id: str
    cause: Cause
    state: IncidentState
    severity: Severity | None
    alerts: list[str]
    explains: list[str]
    then: Then
    now: Now | None
    signals: list[str]
    opened_at: str
    changed_at: str
    ended_at: str | None
    owner: str | None
    until: str | None
    closing_cause: ClosingCause | None
    merged_into: str | None
    rank: float


class ActOut(Struct, frozen=True):
    """One act of a person, or one change by the evidence or by time (`by`: system)."""

    act: int
    at: str
    by: str
    what: str
    change: str | None
    state: IncidentState
    severity: Severity | None
    owner: str | None
    until: str | None
    closing_cause: ClosingCause | None
    other: str | None
    words: str | None


class AccountOut(Struct, frozen=True):
    """One account among the pairs since the fault is seen: how many, and how many contradict the claim."""

    account: str
    pairs: int
    contradicting: float


class AddressesOut(Struct, frozen=True):
    """The addresses that were asked about the orders since the fault is seen. Counts, never an address.

    `effective`: how many there would be if all were asked equally often. `shared`: those that serve three accounts or
    more, perhaps staff's.
    """

    asked: int
    effective: float | None
    shared: int


class IncidentDetail(Struct, frozen=True):
    """One incident with its acts, accounts, the newest orders that contradict the claim, and who was asked."""

    incident: IncidentOut
    acts: list[ActOut]
    accounts: list[AccountOut]
    orders: list[str]
    addresses: AddressesOut


def incident_of(incident: Incident) -> IncidentOut:
    """An incident, with instants as text."""
    return IncidentOut(
        id=incident.incident_id,
        cause=incident.cause,
        state=incident.state,
        severity=incident.severity,
        alerts=list(incident.alerts),
        explains=list(incident.explains),
        then=incident.then,
        now=incident.now,
        signals=list(incident.signals),
        opened_at=instant(incident.opened_at),
        changed_at=instant(incident.changed_at),
        ended_at=None if incident.ended_at is None else instant(incident.ended_at),
        owner=incident.owner,
        until=None if incident.until is None else instant(incident.until),
        closing_cause=incident.closing_cause,
        merged_into=incident.merged_into,
        rank=round(incident.rank, 3),
    )


def instant(at: datetime) -> str:
    """An instant in UTC as text."""
    return at.astimezone(UTC).isoformat().replace("+00:00", "Z")
