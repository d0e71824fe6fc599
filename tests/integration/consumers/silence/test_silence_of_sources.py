"""A source that stops sending: an incident, which its next event ends."""

from collections.abc import Callable
from datetime import datetime, timedelta

import pytest

from pipeline.consumers.runtime import retention
from pipeline.consumers.runtime.embedded import EmbeddedRunner
from pipeline.consumers.runtime.retention import Ages
from pipeline.domain.access.permissions import Role
from pipeline.domain.access.principal import LOCAL, user_principal
from pipeline.domain.access.scopes import parse_scope
from pipeline.domain.detection.source_silence import slot_of
from pipeline.domain.reports.incidents import incident_of
from pipeline.notifiers.wording import sentences
from pipeline.store.db.engine import reading
from pipeline.store.evidence.sources import AWAKE
from pipeline.store.incidents import incidents as stored_incidents
from pipeline.store.reads.alerts import alerts_as_of
from pipeline.store.schema.alerting.incidents import incidents
from pipeline.store.schema.alerting.sources import source_slots, sources
from pipeline.store.store import Store
from tests.support.builders import at, completed
from tests.support.modes import EVERYWHERE
from tests.support.running.embedded import ingest
from tests.support.stored import HISTORIC, published, rows

everywhere = pytest.mark.parametrize("database_url", EVERYWHERE, indirect=True)
DAYS = 35


def sends(runtime: EmbeddedRunner, n: int, time: datetime, source: str = "erp/lyon") -> None:
    ingest(runtime, completed(f"{source}-{n}", time, account={"id": f"A-{n}"}, _={"source": source}))


def running(runtime: EmbeddedRunner, first: datetime, last: datetime) -> None:
    """This installation was running all the time."""
    with runtime.engine.begin() as connection:
        known = {row["slot"] for row in rows(runtime, source_slots) if row["source"] == AWAKE}
        slots = sorted(set(range(slot_of(first), slot_of(last))) - known)
        connection.execute(source_slots.insert(), [{"source": AWAKE, "slot": slot} for slot in slots])


def a_steady_month(runtime: EmbeddedRunner, source: str = "erp/lyon") -> None:
    """One event a day for five weeks."""
    for n in range(DAYS):
        sends(runtime, n, at(days=n), source)
    running(runtime, at(), at(days=DAYS + 10))


@everywhere
def test_a_source_that_stops_is_an_incident_until_it_sends_again(
    database_url: str, start: Callable[..., EmbeddedRunner]
) -> None:
    runtime = start()
    a_steady_month(runtime)
    runtime.tick(at(days=DAYS + 0.9))
    assert rows(runtime, incidents) == [], "not yet twice the longest silence of its past"

    runtime.tick(at(days=DAYS + 1.5))
    (row,) = rows(runtime, incidents)
    assert (row["signal"], row["dimension"], row["value"]) == ("source_silent", "source", "erp/lyon")
    assert (row["status"], row["severity"], row["unverified"]) == ("open", "major", False)
    assert row["rank"] > 0
    runtime.tick(at(days=DAYS + 4))
    (row,) = rows(runtime, incidents)
    assert row["severity"] == "critical", "twice over"

    sends(runtime, DAYS, at(days=DAYS + 5))
    runtime.tick(at(days=DAYS + 5.1))
    (row,) = rows(runtime, incidents)
    assert row["status"] == "resolved"
    assert [len(published(runtime, f"alert.{what}")) for what in ("opened", "escalated", "resolved")] == [1, 1, 1]
    changes = [event["change"] for event in published(runtime, "incident.changed")]
    assert changes == ["escalated", "resolved"]
    assert not any(event["historic"] for event in published(runtime, "incident.opened")), "receivers are notified"


def test_the_alert_reads_as_a_sentence_and_is_hidden_from_a_scope(runtime: EmbeddedRunner) -> None:
    a_steady_month(runtime)
    runtime.tick(at(days=DAYS + 1.5))
    scoped = user_principal("ana", Role.OPERATIONS, parse_scope(Role.OPERATIONS, ["depot=Lyon"]))
    with reading(runtime.engine) as connection:
        (alert,) = alerts_as_of(connection, LOCAL, at(days=DAYS + 2).date())
        assert alerts_as_of(connection, scoped, at(days=DAYS + 2).date()) == []
        found = stored_incidents.find(connection, 1)
    assert alert.state == "open"
    assert sentences.headline(alert) == "Major: source erp/lyon, source of events"
    assert "sends no events any more" in sentences.describe(alert)
    assert found is not None
    assert incident_of(found).then.rate is not None


def test_a_stop_of_this_installation_is_no_silence(runtime: EmbeddedRunner) -> None:
    for n in range(DAYS):
        sends(runtime, n, at(days=n))
    running(runtime, at(), at(days=DAYS))
    runtime.tick(at(days=DAYS + 10))
    assert rows(runtime, incidents) == []


def test_what_is_replayed_and_what_is_ours_is_not_watched(runtime: EmbeddedRunner) -> None:
    for n in range(DAYS):
        ingest(runtime, completed(f"SO-{n}", at(days=n), **HISTORIC))
    assert rows(runtime, sources) == []
    assert rows(runtime, source_slots) == []


def test_repeated_and_delayed_events_change_nothing(runtime: EmbeddedRunner) -> None:
    a_steady_month(runtime)
    before = rows(runtime, source_slots)
    for n in range(DAYS):
        sends(runtime, n, at(days=n))
    assert rows(runtime, source_slots) == before


def test_slots_older_than_the_past_are_deleted_except_the_last(runtime: EmbeddedRunner) -> None:
    a_steady_month(runtime)
    sends(runtime, 1_000, at(days=200), "other")
    store: Store = runtime.store
    ages = Ages(timedelta(days=30), timedelta(days=30))
    deleted = retention.delete_expired(store, runtime.setup.levels, ages, at(days=200))
    left = [row["slot"] for row in rows(runtime, source_slots) if row["source"] == "erp/lyon"]
    assert left == [slot_of(at(days=DAYS - 1))]
    assert deleted.slots > DAYS
