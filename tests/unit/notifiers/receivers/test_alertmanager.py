"""What Alertmanager is told of an incident: labels that stay, a cause that is an annotation, ends."""

import asyncio
from datetime import timedelta

from hypothesis import given
from hypothesis import strategies as st

from pipeline.domain.events.incidents import Cause
from pipeline.notifiers.receivers.alertmanager.receiver import Memory, after, configure
from pipeline.notifiers.receivers.configuration import AlertmanagerConfig
from pipeline.notifiers.receivers.port import Delivered, Delivery, Refused, Result
from tests.support.receiving.hooks import HookServer
from tests.support.receiving.incidents import AT, change, resolved

ARA = Cause("experience", "region", "ARA")


def test_the_labels_are_incident_signal_and_severity_only() -> None:
    alert = after(change(), None).alert
    assert alert.labels == {"incident": "I-1", "signal": "on_time", "severity": "major"}
    assert (alert.starts_at, alert.ends_at) == (AT, None)
    assert alert.annotations["cause"] == "depot=Lyon"
    assert "31% (24% to 39%)" in alert.annotations["description"]


def test_another_cause_of_the_same_severity_is_the_same_alert() -> None:
    opened = after(change(), None)
    moved = after(change(act=2, kind="incident.changed", change="regrouped", cause=ARA), opened)
    assert moved.alert.labels == opened.alert.labels
    assert moved.alert.annotations["cause"] == "region=ARA"
    assert not moved.earlier


def test_a_higher_severity_is_a_new_alert_and_the_earlier_one_ends() -> None:
    opened = after(change(), None)
    rising = change(act=2, kind="incident.changed", change="escalated", cause=ARA, severity="critical", rises=True)
    risen = after(rising, opened)
    assert risen.alert.labels == {"incident": "I-1", "signal": "experience", "severity": "critical"}
    assert [(one.labels, one.ends_at) for one in risen.earlier] == [(opened.alert.labels, rising.data.at)]


def test_a_lower_severity_is_the_same_alert() -> None:
    opened = after(change(severity="critical"), None)
    assert after(change(act=2, kind="incident.changed", change="split", severity="minor"), opened).alert.labels == (
        opened.alert.labels
    )


def test_the_end_of_an_incident_ends_its_alert() -> None:
    over = after(resolved(), after(change(), None)).alert
    assert over.ends_at == AT + timedelta(minutes=2)
    merged = change(act=2, kind="incident.changed", change="merged", other="I-2")
    assert after(merged, after(change(), None)).alert.ends_at == merged.data.at


def test_a_reopened_incident_is_a_new_firing() -> None:
    over = after(resolved(), after(change(), None))
    again = change(act=3, kind="incident.reopened")
    assert (after(again, over).alert.starts_at, after(again, over).alert.ends_at) == (again.data.at, None)


def test_a_snoozed_incident_is_silent_and_fires_again_after_the_snooze() -> None:
    until = AT + timedelta(days=2)
    opened = after(change(), None)
    snoozed = after(change(act=2, kind="incident.snoozed", state="snoozed", until=until), opened)
    assert snoozed.alert.ends_at == change(act=2).data.at
    unverified = change(act=3, kind="incident.changed", change="unverified", state="unverified", until=until)
    assert after(unverified, snoozed).alert.ends_at == snoozed.alert.ends_at, "set aside, whatever its state says"
    again = after(change(act=4, kind="incident.reopened"), snoozed)
    assert (again.alert.starts_at, again.alert.ends_at) == (change(act=4).data.at, None)
    risen = change(act=5, kind="incident.changed", change="escalated", severity="critical", rises=True)
    assert after(risen, snoozed).alert.ends_at is None, "a higher severity ends the snooze"


@given(st.lists(st.sampled_from(["minor", "major", "critical"]), min_size=1, max_size=12))
def test_one_alert_at_most_fires_for_an_incident_with_the_highest_severity_so_far(severities: list[str]) -> None:
    memory: Memory | None = None
    for act, severity in enumerate(severities, 1):
        kind = "incident.opened" if act == 1 else "incident.changed"
        memory = after(change(act=act, kind=kind, severity=severity, change=None if act == 1 else "regrouped"), memory)
    assert memory is not None
    firing = [alert for alert in (memory.alert, *memory.earlier) if alert.ends_at is None]
    assert [alert.labels["severity"] for alert in firing] == [max(severities, key=("minor", "major", "critical").index)]


def test_an_incident_that_alertmanager_refuses_does_not_cost_the_others_of_its_request() -> None:
    async def give(url: str) -> list[Result]:
        receiver = configure(AlertmanagerConfig(name="am", url=url), None)
        try:
            return list(await receiver.deliver_all([Delivery(f"I-{n}:1", (change(f"I-{n}"),), AT) for n in range(9)]))
        finally:
            await receiver.close()

    with HookServer() as server:
        server.status = lambda n: 400 if "I-5" in str(server.calls[n - 1].json) else 200
        results = asyncio.run(give(server.url))

    assert [number for number, result in enumerate(results) if isinstance(result, Refused)] == [5]
    assert sum(isinstance(result, Delivered) for result in results) == 8
