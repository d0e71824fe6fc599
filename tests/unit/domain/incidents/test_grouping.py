"""Incidents keep their identity while their alerts, their cause and their severity change."""

from collections.abc import Mapping, Sequence
from datetime import UTC, date, datetime, timedelta

import msgspec
from hypothesis import given
from hypothesis import strategies as st

from pipeline.domain.detection.alerting import Severity
from pipeline.domain.detection.explanation import Explanation
from pipeline.domain.detection.segments import Segment
from pipeline.domain.events.incidents import Rate
from pipeline.domain.incidents import lifecycle
from pipeline.domain.incidents.grouping import Known, Step, groups_of, regroup
from pipeline.domain.incidents.incident import AlertFacts, Incident

T0 = datetime(2026, 3, 2, 9, tzinfo=UTC)
RATE = Rate(0.4, 0.3, 0.5, 40)


def alert(name: str, severity: Severity = "major", n: int = 1, unverified: bool = False) -> AlertFacts:
    """`name`: signal/dimension/value."""
    signal, dimension, value = name.split("/")
    segment = Segment(dimension, value)
    return AlertFacts(f"{name}/{n}", signal, segment, severity, T0, date(2026, 3, 1), RATE, 0.05, unverified)


class World:
    """The incidents so far, and the day."""

    def __init__(self) -> None:
        self.incidents: dict[int, Incident] = {}
        self.day = 0

    def find(self, *causes: AlertFacts, echoes: Mapping[str, Sequence[AlertFacts]] | None = None) -> list[str]:
        """Group these causes, with the echoes of a cause by its id; returns what is published, sorted."""
        self.day += 1
        now = T0 + timedelta(days=self.day)
        alerts = {each.alert_id: each for each in (*causes, *(e for group in (echoes or {}).values() for e in group))}
        explanations = {}
        for signal in {each.signal for each in alerts.values()}:
            mine = tuple(each.alert_id for each in causes if each.signal == signal)
            explained = {
                key: tuple(each.alert_id for each in found) for key, found in (echoes or {}).items() if key in mine
            }
            explanations[signal] = Explanation(causes=mine, explained=explained, disputed_accounts=(), unexplained=())
        known = self.known(frozenset(alerts), now)
        held = {key: each for each in known.active for key in (*each.alerts, *each.explains)}
        steps = regroup(groups_of(explanations, alerts, held), known, frozenset(alerts), now)
        self.incidents |= {step.incident.number: step.incident for step in steps}
        return sorted(published(steps))

    def known(self, open_alerts: frozenset[str], now: datetime) -> Known:
        """As the store reads them."""
        active = [
            each
            for each in self.incidents.values()
            if each.merged_into is None
            and (each.ended_at is None or (each.status == "closed" and not open_alerts.isdisjoint(each.alerts)))
        ]
        ended = [each for each in self.incidents.values() if each.status == "resolved"]
        return Known(active, ended, len(self.incidents))


def published(steps: Sequence[Step]) -> list[str]:
    return [
        " ".join(filter(None, [step.incident.incident_id, act.what, act.change, act.other, "!" if act.rises else ""]))
        for step in steps
        for act in step.acts
    ]


DEPOT, REGION, CARRIER = alert("on_time/depot/Lyon"), alert("on_time/region/ARA"), alert("on_time/carrier/Nordex")


def test_signals_of_one_segment_are_one_incident() -> None:
    world = World()

    assert world.find(DEPOT, alert("experience/depot/Lyon"), alert("in_full/depot/Nice")) == [
        "I-1 opened !",
        "I-2 opened !",
    ]
    assert world.incidents[1].signals == ("on_time", "experience")
    assert world.incidents[1].alerts == ("on_time/depot/Lyon/1", "experience/depot/Lyon/1")


def test_the_same_alerts_again_change_nothing() -> None:
    world = World()
    world.find(DEPOT, echoes={DEPOT.alert_id: [REGION]})

    assert world.find(DEPOT, echoes={DEPOT.alert_id: [REGION]}) == []


def test_an_incident_goes_on_when_its_cause_is_found_to_be_an_echo() -> None:
    world = World()
    world.find(REGION)

    assert world.find(DEPOT, echoes={DEPOT.alert_id: [REGION]}) == ["I-1 changed regrouped"]
    assert world.incidents[1].cause == DEPOT.cause
    assert world.incidents[1].explains == (REGION.alert_id,)


def test_of_merging_incidents_the_oldest_goes_on_with_the_owner() -> None:
    world = World()
    world.find(REGION)
    world.find(REGION, DEPOT)
    lifecycle.assign(world.incidents[2], "ana", "ana", T0)

    assert world.find(DEPOT, echoes={DEPOT.alert_id: [REGION]}) == ["I-1 changed regrouped", "I-2 changed merged I-1"]
    assert (world.incidents[1].owner, world.incidents[1].cause) == ("ana", DEPOT.cause)
    assert (world.incidents[2].status, world.incidents[2].merged_into) == ("closed", "I-1")


def test_on_a_split_the_part_with_the_old_cause_keeps_the_identity() -> None:
    world = World()
    world.find(DEPOT, echoes={DEPOT.alert_id: [REGION, CARRIER]})

    found = world.find(CARRIER, DEPOT, echoes={DEPOT.alert_id: [REGION]})
    assert found == ["I-1 changed split I-2", "I-2 opened I-1 !"]
    assert (world.incidents[1].cause, world.incidents[2].cause) == (DEPOT.cause, CARRIER.cause)


def test_a_higher_severity_escalates_once_and_wakes_what_was_set_aside() -> None:
    world = World()
    world.find(DEPOT)
    lifecycle.snooze(world.incidents[1], T0 + timedelta(days=9), "known", "ana", T0)
    worse = alert("on_time/depot/Lyon", "critical")

    assert world.find(worse) == ["I-1 changed escalated !"]
    assert world.incidents[1].status == "open"
    assert world.find(worse) == world.find(DEPOT) == world.find(worse) == []


def test_a_closed_incident_stays_closed_until_it_becomes_worse() -> None:
    world = World()
    world.find(DEPOT)
    lifecycle.close(world.incidents[1], "carrier", "they promised", "ana", T0)

    assert world.find(DEPOT) == []
    assert world.find(alert("on_time/depot/Lyon", "critical")) == ["I-1 reopened !"]
    assert (world.incidents[1].status, world.incidents[1].closing_cause) == ("open", None)


def test_an_open_incident_never_ends_in_a_closed_one() -> None:
    world = World()
    world.find(REGION)
    lifecycle.close(world.incidents[1], "data", "checked", "ana", T0)
    world.find(REGION, DEPOT)

    assert "I-1 changed merged I-2" in world.find(DEPOT, echoes={DEPOT.alert_id: [REGION]})
    assert world.incidents[2].status == "open"


def test_the_evidence_resolves_and_a_fault_that_returns_reopens() -> None:
    world = World()
    world.find(DEPOT)

    assert world.find() == ["I-1 changed resolved"]
    assert world.find() == []
    assert world.find(alert("on_time/depot/Lyon", n=2)) == ["I-1 reopened"]
    world.find()
    world.day += 31
    assert world.find(alert("on_time/depot/Lyon", n=3)) == ["I-2 opened !"]


def test_an_incident_that_proves_to_be_one_accounts_dispute_ends_and_returns_with_other_evidence() -> None:
    world = World()
    world.find(DEPOT)
    incident, now = world.incidents[1], T0 + timedelta(days=3)
    nothing = Explanation(causes=(), explained={}, disputed_accounts=(), unexplained=(DEPOT.alert_id,))
    alerts, held = {DEPOT.alert_id: DEPOT}, {DEPOT.alert_id: incident}
    assert len(groups_of({"on_time": nothing}, alerts, held)) == 1, "an alert without a cause stays where it was"

    disputed = msgspec.structs.replace(nothing, disputed_accounts=("A-1",), of_disputes=(DEPOT.alert_id,))
    groups = groups_of({"on_time": disputed}, alerts, held)
    assert groups == []
    steps = regroup(groups, world.known(frozenset(alerts), now), frozenset(), now)
    assert published(steps) == ["I-1 changed resolved"]
    assert world.find(DEPOT) == ["I-1 reopened"]


def test_an_incident_without_answers_is_unverified_until_one_comes() -> None:
    world = World()
    world.find(DEPOT)

    assert world.find(alert("on_time/depot/Lyon", unverified=True)) == ["I-1 changed unverified"]
    assert str(world.incidents[1].state) == "unverified"
    assert world.find(DEPOT) == ["I-1 changed regrouped"]
    assert world.incidents[1].state == "open"


NAMES = [f"{signal}/{place}" for signal in ("on_time", "in_full") for place in ("depot/L", "depot/N", "region/A")]


@given(
    st.lists(
        st.dictionaries(st.sampled_from(NAMES), st.sampled_from(["cause", "echo", "closed"]), max_size=6), max_size=12
    )
)
def test_each_open_alert_with_a_cause_is_in_exactly_one_living_incident(history: list[dict[str, str]]) -> None:
    world = World()
    for roles in history:
        causes = [alert(name) for name, role in roles.items() if role != "echo"]
        by_signal = {each.signal: each for each in causes}
        echoes: dict[str, list[AlertFacts]] = {}
        for name, role in roles.items():
            each = alert(name)
            if role == "echo" and each.signal in by_signal:
                echoes.setdefault(by_signal[each.signal].alert_id, []).append(each)
        world.find(*causes, echoes=echoes)

        expected = {each.alert_id for each in (*causes, *(e for found in echoes.values() for e in found))}
        living = [
            each for each in world.incidents.values() if each.status not in ("resolved",) and not each.merged_into
        ]
        having = [key for each in living if not each.ended_at or expected & set(each.alerts) for key in each.alerts]
        having += [key for each in living if not each.ended_at or expected & set(each.alerts) for key in each.explains]
        assert sorted(key for key in having if key in expected) == sorted(expected)
        segments = [each.segment for each in living if each.ended_at is None]
        assert len(segments) == len(set(segments))
        for name, role in roles.items():
            closing = [each for each in world.incidents.values() if alert(name).alert_id in each.alerts]
            if role == "closed" and closing and closing[-1].ended_at is None:
                lifecycle.close(closing[-1], "other", "done", "ana", T0)
