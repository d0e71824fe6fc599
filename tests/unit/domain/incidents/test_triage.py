"""What an incident needs today."""

from datetime import timedelta
from typing import Any

import pytest

from pipeline.domain.events.incidents import Cause, Severity, Then
from pipeline.domain.incidents.incident import Incident
from pipeline.domain.incidents.triage import ACKNOWLEDGE_WITHIN, NEEDS, Need, need_of
from tests.support.builders import at


def incident(**known: Any) -> Incident:
    defaults: dict[str, Any] = {
        "number": 1,
        "status": "open",
        "cause": Cause("on_time", "depot", "Lyon"),
        "signals": ("on_time",),
        "alerts": ("a",),
        "explains": (),
        "severity": "major",
        "peak": "major",
        "opened_at": at(),
        "changed_at": at(),
        "then": Then(at(), at().date(), None, None),
    }
    return Incident(**(defaults | known))


@pytest.mark.parametrize(
    ("known", "hours", "need"),
    [
        ({}, 1, "new"),
        ({"severity": "critical"}, 5, "overdue"),
        ({}, 25, "overdue"),
        ({"severity": "minor"}, 25, "unowned"),
        ({"status": "acknowledged"}, 1, "new"),
        ({"status": "acknowledged"}, 400, "unowned"),
        ({"status": "assigned", "owner": "ben"}, 400, "in_hand"),
        ({"status": "snoozed", "owner": "ben", "until": at(days=20)}, 400, "snoozed"),
    ],
)
def test_the_most_urgent_need_counts(known: dict[str, Any], hours: float, need: Need) -> None:
    assert need_of(incident(**known), at(hours=hours)) == need
    assert need in NEEDS


@pytest.mark.parametrize("severity", ["critical", "major", "minor", None])
def test_an_open_incident_becomes_overdue_after_the_time_of_its_severity(severity: Severity | None) -> None:
    within = ACKNOWLEDGE_WITHIN[severity]
    one = incident(severity=severity)
    assert need_of(one, at() + within) != "overdue"
    assert need_of(one, at() + within + timedelta(minutes=1)) == "overdue"
