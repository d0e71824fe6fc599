"""What people may do about an incident, and what is refused with a reason."""

from collections.abc import Callable
from datetime import UTC, date, datetime, timedelta

import pytest

from pipeline.domain.events.incidents import Cause, Then
from pipeline.domain.incidents import lifecycle
from pipeline.domain.incidents.incident import Act, Incident
from pipeline.domain.incidents.lifecycle import MAX_SNOOZE, Refused

T0 = datetime(2026, 3, 2, 9, tzinfo=UTC)
Do = Callable[[Incident], Act]


@pytest.fixture
def incident() -> Incident:
    return Incident(
        number=7,
        status="open",
        cause=Cause("on_time", "depot", "Lyon"),
        signals=("on_time",),
        alerts=("on_time/depot/Lyon/1",),
        explains=(),
        severity="major",
        peak="major",
        opened_at=T0,
        changed_at=T0,
        then=Then(T0, date(2026, 3, 1), None, 0.05),
    )


def acknowledge(incident: Incident) -> Act:
    return lifecycle.acknowledge(incident, "ana", T0)


def assign(incident: Incident) -> Act:
    return lifecycle.assign(incident, " ben ", "ana", T0)


def snooze(incident: Incident) -> Act:
    return lifecycle.snooze(incident, T0 + MAX_SNOOZE, "waiting for the carrier", "ana", T0)


def close(incident: Incident) -> Act:
    return lifecycle.close(incident, "carrier", "agreed with Nordex", "ana", T0)


def reopen(incident: Incident) -> Act:
    return lifecycle.reopen(incident, "", "ana", T0)


@pytest.mark.parametrize(
    ("acts", "status", "owner"),
    [
        ([acknowledge], "acknowledged", None),
        ([acknowledge, assign], "assigned", "ben"),
        ([snooze], "snoozed", None),
        ([snooze, acknowledge], "acknowledged", None),
        ([assign, snooze, close], "closed", "ben"),
        ([close, reopen], "open", None),
        ([assign, close, reopen], "assigned", "ben"),
    ],
)
def test_each_act_leads_to_its_state(incident: Incident, acts: list[Do], status: str, owner: str | None) -> None:
    for act in acts:
        assert act(incident).by == "ana"
    assert (incident.status, incident.owner) == (status, owner)
    assert (incident.until is not None) == (status == "snoozed")
    assert (incident.ended_at is not None) == (status == "closed")


@pytest.mark.parametrize(
    ("before", "act", "field"),
    [
        ([acknowledge], acknowledge, ""),
        ([assign], acknowledge, ""),
        ([assign], assign, "owner"),
        ([close], assign, ""),
        ([close], close, ""),
        ([], reopen, ""),
        ([], lambda incident: lifecycle.assign(incident, " ", "ana", T0), "owner"),
        ([], lambda incident: lifecycle.assign(incident, "x" * 101, "ana", T0), "owner"),
        ([], lambda incident: lifecycle.snooze(incident, T0, "x", "ana", T0), "until"),
        (
            [],
            lambda incident: lifecycle.snooze(incident, T0 + MAX_SNOOZE + timedelta(seconds=1), "x", "ana", T0),
            "until",
        ),
        ([], lambda incident: lifecycle.snooze(incident, T0 + MAX_SNOOZE, " ", "ana", T0), "reason"),
        ([], lambda incident: lifecycle.close(incident, "bad luck", "x", "ana", T0), "cause"),
        ([], lambda incident: lifecycle.close(incident, "carrier", "", "ana", T0), "words"),
    ],
)
def test_what_is_not_possible_is_refused_with_the_field(
    incident: Incident, before: list[Do], act: Do, field: str
) -> None:
    for earlier in before:
        earlier(incident)
    status = incident.status
    with pytest.raises(Refused) as refused:
        act(incident)
    assert refused.value.field == field
    assert incident.status == status


def test_what_the_evidence_resolved_only_the_evidence_reopens(incident: Incident) -> None:
    incident.status, incident.ended_at = "resolved", T0
    with pytest.raises(Refused, match="reopens by itself"):
        reopen(incident)


def test_a_snooze_ends_at_its_time_and_not_before(incident: Incident) -> None:
    snooze(incident)
    assert lifecycle.wake(incident, T0 + MAX_SNOOZE - timedelta(seconds=1)) is None
    assert lifecycle.wake(incident, T0 + MAX_SNOOZE) == Act("reopened", "system")
    assert incident.status == "open"
    assert lifecycle.wake(incident, T0 + MAX_SNOOZE) is None
