"""One cause, one incident: alerts are grouped as evidence comes, with a stable identity, and people act on it."""

from collections.abc import Callable
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest
from sqlalchemy.exc import DBAPIError

from pipeline.consumers import incidents as acting
from pipeline.consumers.runtime.embedded import EmbeddedRunner
from pipeline.domain.incidents import lifecycle
from pipeline.domain.incidents.incident import Act, Incident
from pipeline.domain.incidents.lifecycle import Refused
from pipeline.store.orders.timers import TimerStore
from pipeline.store.schema.alerting.incidents import explanations, incident_acts, incident_alerts, incidents
from pipeline.store.schema.evidence import alerts, evidence, pairs
from pipeline.store.schema.journal import journal
from pipeline.store.schema.orders import timers
from pipeline.store.unit_of_work import UnitOfWork
from tests.support.builders import answered, asked, at, completed, contact, scanned
from tests.support.modes import EVERYWHERE
from tests.support.running.embedded import VAULT, ingest
from tests.support.stored import HISTORIC, published, rows

NEVER = datetime.min.replace(tzinfo=UTC)
LEVELS = "depot:2,carrier:1"
ANA = contact("ana")


def answered_order(n: int, day: float, late: bool = True, depot: str = "Lyon", carrier: str = "Nordex") -> list[bytes]:
    """A historic order, on time by the record, and what its customer says."""
    order_id, time = f"SO-{n}", at(days=day)
    known: dict[str, Any] = {"account": {"id": f"A-{n}"}, "contacts": [ANA]}
    known |= {"dimensions": {"depot": depot, "carrier": carrier}}
    return [
        completed(order_id, time, **known, **HISTORIC),
        scanned(order_id, time + timedelta(hours=1)),
        asked(order_id, time + timedelta(hours=2), account_id=f"A-{n}"),
        answered(order_id, time + timedelta(hours=3), arrival="late" if late else "on_time"),
    ]


def play(runtime: EmbeddedRunner, lates: str, first: int = 0, **where: str) -> None:
    """An answer a day: `x` contradicts the claim, `.` agrees."""
    for n, mark in enumerate(lates, first):
        ingest(runtime, *answered_order(n, n, mark == "x", **where))


def act(runtime: EmbeddedRunner, decide: Callable[[Incident], Act], days: float, number: int = 1) -> Incident:
    """What a web process does when somebody acts."""
    with runtime.engine.begin() as connection:
        work = UnitOfWork(connection, runtime.store.journal, runtime.setup, TimerStore(connection, (), NEVER))
        found = acting.perform(number, decide, VAULT, work, at(days=days))
        work.flush()
    assert found is not None
    return found


def incident_events(runtime: EmbeddedRunner) -> list[tuple[str, dict[str, Any]]]:
    kinds = ("opened", "acknowledged", "assigned", "snoozed", "closed", "reopened", "changed")
    found = [(kind, event) for kind in kinds for event in published(runtime, f"incident.{kind}")]
    return sorted(found, key=lambda item: (item[1]["incident_id"], item[1]["act"]))


def settle(runtime: EmbeddedRunner, days: float) -> None:
    """Let the time pass: what is due happens."""
    runtime.tick(at(days=days))


everywhere = pytest.mark.parametrize("database_url", EVERYWHERE, indirect=True)


@pytest.fixture
def runtime(start: Callable[..., EmbeddedRunner]) -> EmbeddedRunner:
    return start(levels=LEVELS)


@everywhere
def test_a_depot_and_its_carrier_are_one_incident_with_one_cause(runtime: EmbeddedRunner) -> None:
    play(runtime, "." * 6 + "x" * 12)
    for n in range(30, 36):  # the carrier's other depots are honest
        ingest(runtime, *answered_order(n, 18, False, depot="Nancy"))
    settle(runtime, 30)

    (row,) = rows(runtime, incidents)
    assert (row["status"], row["signal"], row["dimension"], row["value"]) == ("open", "on_time", "depot", "Lyon")
    assert row["alerts"] == '["on_time/depot/Lyon/1"]'
    assert row["explains"] == '["on_time/carrier/Nordex/1"]'
    opened = incident_events(runtime)[0]
    assert opened[0] == "opened"
    assert opened[1]["rises"]
    assert opened[1]["historic"]
    assert {one["alert_id"]: one["number"] for one in rows(runtime, incident_alerts)} == {
        "on_time/depot/Lyon/1": 1,
        "on_time/carrier/Nordex/1": 1,
    }


def test_a_cause_that_is_found_later_leaves_the_identity(runtime: EmbeddedRunner) -> None:
    """First every depot of the carrier is late: the carrier is the cause. Then it is shown to be one depot."""
    for n in range(40):
        ingest(runtime, *answered_order(n, n / 2, n % 2 == 0, depot="Lyon" if n % 2 == 0 else "Nancy"))
    settle(runtime, 40)
    found = rows(runtime, incidents)
    assert len(found) == 1
    assert [event["cause"]["dimension"] for _, event in incident_events(runtime)][-1] == "depot"
    assert {event["incident_id"] for _, event in incident_events(runtime)} == {"I-1"}


def test_the_evidence_ends_an_incident_and_a_closed_one_stays_closed(runtime: EmbeddedRunner) -> None:
    play(runtime, "x" * 8)
    settle(runtime, 10)
    act(runtime, lambda one: lifecycle.close(one, "carrier", "Ana spoke to Nordex", "ben", at(days=10)), 10)
    play(runtime, "x" * 5, first=10)
    settle(runtime, 20)
    assert [(row["status"], row["closing_cause"]) for row in rows(runtime, incidents)] == [("closed", "carrier")]
    act(runtime, lambda one: lifecycle.reopen(one, "", "ana", at(days=20)), 20)
    play(runtime, "." * 150, first=20)
    settle(runtime, 175)
    (row,) = rows(runtime, incidents)
    assert row["status"] == "resolved"
    last = incident_events(runtime)[-1]
    assert (last[0], last[1]["change"], last[1]["by"]) == ("changed", "resolved", "system")
    assert row["now"] is not None
    assert last[1]["now"]["trend"] == "better"


@everywhere
def test_acts_are_events_with_who_and_when_and_words_stay_sealed(runtime: EmbeddedRunner) -> None:
    play(runtime, "x" * 8)
    settle(runtime, 10)
    act(runtime, lambda one: lifecycle.acknowledge(one, "ana", at(days=10)), 10)
    act(runtime, lambda one: lifecycle.assign(one, "ben", "ana", at(days=11)), 11)
    act(runtime, lambda one: lifecycle.snooze(one, at(days=13), "waits for Friday", "ben", at(days=12)), 12)
    settle(runtime, 12.9)
    assert rows(runtime, incidents)[0]["status"] == "snoozed"
    settle(runtime, 13)

    told = [(kind, event["by"], event["state"]) for kind, event in incident_events(runtime) if event["by"] != "system"]
    assert told == [
        ("acknowledged", "ana", "acknowledged"),
        ("assigned", "ana", "assigned"),
        ("snoozed", "ben", "snoozed"),
    ]
    assert incident_events(runtime)[-1][0] == "reopened"
    assert rows(runtime, incidents)[0]["status"] == "assigned"
    assert "Friday" not in str(incident_events(runtime))
    sealed = [row["words"] for row in rows(runtime, incident_acts) if row["words"] is not None]
    assert [VAULT.open_bytes(words) for words in sealed] == [b"waits for Friday"]
    assert [row["act"] for row in rows(runtime, incident_acts)] == list(range(1, len(rows(runtime, incident_acts)) + 1))


def test_acts_change_no_evidence_and_cannot_be_changed(runtime: EmbeddedRunner) -> None:
    play(runtime, "x" * 8)
    settle(runtime, 10)
    before = [rows(runtime, table) for table in (pairs, evidence, alerts)]
    act(runtime, lambda one: lifecycle.close(one, "data", "no fault", "ana", at(days=10)), 10)
    assert [rows(runtime, table) for table in (pairs, evidence, alerts)] == before
    for change in (incident_acts.update().values(by="eve"), incident_acts.delete()):
        with pytest.raises(DBAPIError, match="append-only"), runtime.engine.begin() as connection:
            connection.execute(change)


@everywhere
def test_a_refused_act_leaves_nothing_behind(runtime: EmbeddedRunner) -> None:
    play(runtime, "x" * 8)
    settle(runtime, 10)
    before = [rows(runtime, table) for table in (incidents, incident_acts, journal)]
    with pytest.raises(Refused):
        act(runtime, lambda one: lifecycle.reopen(one, "", "ana", at(days=10)), 10)
    assert [rows(runtime, table) for table in (incidents, incident_acts, journal)] == before


def test_without_answers_an_incident_is_unverified(runtime: EmbeddedRunner) -> None:
    play(runtime, "x" * 8)
    settle(runtime, 45)
    assert incident_events(runtime)[-1][1]["change"] == "unverified"
    assert rows(runtime, incidents)[0]["status"] == "open"


def test_an_amendment_is_grouped_within_a_minute_and_the_day_without_any_event(runtime: EmbeddedRunner) -> None:
    play(runtime, "x" * 8)
    settle(runtime, 10)
    due = {row["subject"]: row["due_at"] for row in rows(runtime, timers) if row["kind"] == acting.REGROUP}
    assert set(due) == {"day"}
    ingest(runtime, answered("SO-7", at(days=10), arrival="on_time"))
    due = {row["subject"]: row["due_at"] for row in rows(runtime, timers) if row["kind"] == acting.REGROUP}
    assert set(due) == {"day", "on_time:amended"}
    settle(runtime, 12)
    assert {row["subject"] for row in rows(runtime, timers) if row["kind"] == acting.REGROUP} == {"day"}


@pytest.mark.parametrize(("after", "due"), [(0.3, 1.0), (1.0, 1.0), (5.0, 5.0)])
def test_a_burst_of_alerts_is_grouped_at_most_once_a_second(runtime: EmbeddedRunner, after: float, due: float) -> None:
    play(runtime, "x" * 8)
    settle(runtime, 10)
    last = max(row["grouped_at"] for row in rows(runtime, explanations))
    with runtime.engine.begin() as connection:
        work = UnitOfWork(connection, runtime.store.journal, runtime.setup, TimerStore(connection, (), NEVER))
        acting.alert_changed("on_time", work, last + timedelta(seconds=after))
        work.flush()
    [timer] = [row for row in rows(runtime, timers) if row["subject"] == "on_time"]
    assert timer["due_at"] == last + timedelta(seconds=due)
