"""One cause, one incident: alerts are grouped as evidence comes, with a stable identity, and people act on it."""

from collections.abc import Callable
from datetime import timedelta
from typing import Any

import pytest

from pipeline.consumers.runtime.embedded import EmbeddedRunner
from pipeline.store.schema.incidents import incident_alerts, incidents
from tests.support.builders import answered, asked, at, completed, contact, scanned
from tests.support.modes import EVERYWHERE
from tests.support.running.embedded import ingest
from tests.support.stored import HISTORIC, published, rows

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


def incident_events(runtime: EmbeddedRunner) -> list[tuple[str, dict[str, Any]]]:
    kinds = ("opened", "acknowledged", "assigned", "snoozed", "closed", "reopened", "changed")
    found = [(kind, event) for kind in kinds for event in published(runtime, f"incident.{kind}")]
    return sorted(found, key=lambda item: (item[1]["incident_id"], item[1]["act"]))


def settle(runtime: EmbeddedRunner, days: float) -> None:
    """Let the time pass: what is due happens."""
    runtime.tick(at(days=days))


pytestmark = pytest.mark.parametrize("database_url", EVERYWHERE, indirect=True)


@pytest.fixture
def runtime(start: Callable[..., EmbeddedRunner]) -> EmbeddedRunner:
    return start(levels=LEVELS)


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
