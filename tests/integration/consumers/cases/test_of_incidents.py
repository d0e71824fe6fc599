"""An incident opens a case, which follows its owner, its end and its return."""

from collections.abc import Callable
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest

from pipeline.consumers import incidents as acting
from pipeline.consumers.runtime.embedded import EmbeddedRunner
from pipeline.domain.incidents import lifecycle
from pipeline.domain.incidents.incident import Act, Incident
from pipeline.store.orders.timers import TimerStore
from pipeline.store.schema.alerting.cases import case_acts, cases
from pipeline.store.unit_of_work import UnitOfWork
from tests.support.builders import answered, asked, at, completed, contact, scanned
from tests.support.modes import EVERYWHERE
from tests.support.running.embedded import VAULT, ingest
from tests.support.stored import published, rows

NEVER = datetime.min.replace(tzinfo=UTC)
pytestmark = pytest.mark.parametrize("database_url", EVERYWHERE, indirect=True)


@pytest.fixture
def runtime(start: Callable[..., EmbeddedRunner]) -> EmbeddedRunner:
    made = start(levels="depot:2,carrier:1")
    for n in range(10):
        order_id, time = f"SO-{n}", at(days=n)
        known: dict[str, Any] = {"account": {"id": f"A-{n}"}, "contacts": [contact(consent=None)]}
        ingest(
            made,
            completed(order_id, time, dimensions={"depot": "Lyon", "carrier": f"C{n}"}, **known),
            scanned(order_id, time + timedelta(hours=1)),
            asked(order_id, time + timedelta(hours=2), account_id=f"A-{n}"),
            answered(order_id, time + timedelta(hours=3), arrival="late"),
        )
    made.tick(at(days=10))
    return made


def act(runtime: EmbeddedRunner, decide: Callable[[Incident], Act], days: float) -> None:
    with runtime.engine.begin() as connection:
        work = UnitOfWork(connection, runtime.store.journal, runtime.setup, TimerStore(connection, (), NEVER))
        assert acting.perform(1, decide, VAULT, work, at(days=days)) is not None
        work.flush()


def of_incident(runtime: EmbeddedRunner) -> dict[str, Any]:
    [found] = [case for case in rows(runtime, cases) if case["incident"] is not None]
    return found


def test_the_case_of_an_incident_follows_it(runtime: EmbeddedRunner) -> None:
    case = of_incident(runtime)
    assert (case["incident"], case["order_id"], case["reasons"], case["owner"]) == (1, None, '["incident"]', None)
    [opened] = [event for event in published(runtime, "case.opened") if event["incident_id"] == "I-1"]
    assert (opened["by"], opened["contact_id"]) == ("system", None)
    act(runtime, lambda one: lifecycle.assign(one, "ben", "ana", at(days=10)), 10)
    assert of_incident(runtime)["owner"] == "ben"
    act(runtime, lambda one: lifecycle.close(one, "carrier", "agreed", "ben", at(days=11)), 11)
    assert (of_incident(runtime)["outcome"], of_incident(runtime)["follow_up"]) == ("ended", None)
    act(runtime, lambda one: lifecycle.reopen(one, "", "ana", at(days=12)), 12)
    assert of_incident(runtime)["closed_at"] is None
    runtime.tick(at(days=40))
    assert of_incident(runtime)["overdue"]
    done = [row for row in rows(runtime, case_acts) if row["case_id"] == case["case_id"]]
    whats = [row["change"] or row["what"] for row in sorted(done, key=lambda row: row["act"])]
    expected = ["opened", "overdue", "assigned", "closed", "reopened", "overdue"]
    assert [what for what in whats if what != "joined"] == expected
