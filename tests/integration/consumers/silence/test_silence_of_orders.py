"""Customers who are not heard: each order is judged once, and silence runs through the detector like any signal."""

from collections.abc import Callable, Iterator
from datetime import date, datetime, timedelta
from io import StringIO
from typing import Any

import pytest

from pipeline.consumers.runtime.embedded import EmbeddedRunner
from pipeline.notifiers.channels.console.notifier import Console
from pipeline.store.schema.alerting.incidents import incidents
from pipeline.store.schema.asks import asks
from pipeline.store.schema.evidence import alerts, fleet_days, pairs, segment_days
from tests.support.builders import answered, asked, at, completed, contact, scanned
from tests.support.modes import EVERYWHERE
from tests.support.running.embedded import ingest
from tests.support.running.sending import dispatcher, sending_runner
from tests.support.stored import published, rows

everywhere = pytest.mark.parametrize("database_url", EVERYWHERE, indirect=True)
FIVE_DAYS = timedelta(days=5)
APRIL = datetime(2026, 4, 1, 9, tzinfo=at().tzinfo)
NO_CONSENT = contact(consent=None)


@pytest.fixture
def begin(database_url: str) -> Iterator[Callable[[], EmbeddedRunner]]:
    started: list[EmbeddedRunner] = []

    def _begin() -> EmbeddedRunner:
        started.append(sending_runner(database_url))
        return started[-1]

    yield _begin
    for runtime in started:
        runtime.engine.dispose()


def observed(runtime: EmbeddedRunner) -> list[tuple[str, dict[str, str], dict[str, float]]]:
    return [
        (event["order_id"], event["dimensions"], {name: seen["x"] for name, seen in event["observations"].items()})
        for event in published(runtime, "silence.observed")
    ]


def deliver(runtime: EmbeddedRunner, order_id: str, time: datetime, **data: Any) -> None:
    ingest(runtime, completed(order_id, time, **data), scanned(order_id, time + timedelta(hours=1)))


def sent(runtime: EmbeddedRunner, moment: datetime, state: str) -> None:
    """Send what is due; then its provider reports `state`."""
    sender = dispatcher(runtime.store, Console(StringIO()))
    sender.run_once(moment)
    sender.stop()
    runtime.process_pending()
    with runtime.engine.begin() as connection:
        values = {"state": state, "delivered_at": moment if state == "delivered" else None}
        connection.execute(asks.update().where(asks.c.state == "sent").values(values))


@everywhere
def test_each_order_is_judged_once_five_days_after_the_decision(begin: Callable[[], EmbeddedRunner]) -> None:
    runtime = begin()
    deliver(runtime, "SO-1", at(), contacts=[contact(country="GB")])
    sent(runtime, at(hours=2), "delivered")
    deliver(
        runtime,
        "SO-2",
        at(days=1),
        account={"id": "A-2"},
        contacts=[contact("bo", phone="+447700900124", country="FR")],
    )
    sent(runtime, at(days=1, hours=2), "failed")
    deliver(runtime, "SO-3", at(days=2), account={"id": "A-3"}, contacts=[NO_CONSENT])
    assert observed(runtime) == []

    runtime.tick(at(days=8))
    lyon = {"depot": "Lyon", "carrier": "Nordex"}
    assert observed(runtime) == [
        ("SO-1", lyon, {"unasked": 0.0, "unanswered": 1.0}),
        ("SO-1", {"message_route": "sms GB"}, {"undelivered": 0.0}),
        ("SO-2", lyon, {"unasked": 0.0}),
        ("SO-2", {"message_route": "sms FR"}, {"undelivered": 1.0}),
        ("SO-3", lyon, {"unasked": 1.0}),
    ]
    ingest(runtime, answered("SO-1", at(days=8), arrival="on_time"))
    runtime.tick(at(days=30))
    assert len(observed(runtime)) == 5, "a late answer changes nothing"


def test_an_installation_that_sends_nothing_has_no_silence(runtime: EmbeddedRunner) -> None:
    deliver(runtime, "SO-1", at())
    runtime.tick(at(days=30))
    assert observed(runtime) == []


def have_past(runtime: EmbeddedRunner, signal: str, shares: dict[tuple[str, str], tuple[int, float]]) -> None:
    """The sums of March by segment, as earlier orders would have left them."""
    day = date(2026, 3, 20).toordinal()
    depots = [sums for (dimension, _), sums in shares.items() if dimension == "depot"]
    with runtime.engine.begin() as connection:
        for (dimension, value), (n, total) in shares.items():
            key = {"signal": signal, "dimension": dimension, "value": value, "day": day}
            connection.execute(segment_days.insert().values(**key, n=n, total=total))
        fleet = {"n": sum(n for n, _ in depots), "total": sum(total for _, total in depots)}
        connection.execute(fleet_days.insert().values(signal=signal, day=day, **fleet))


def delta_of(runtime: EmbeddedRunner, signal: str, value: str) -> float:
    return next(float(row["delta"]) for row in rows(runtime, pairs) if (row["signal"], row["value"]) == (signal, value))


@everywhere
def test_a_depot_whose_customers_stop_answering_is_an_incident(begin: Callable[[], EmbeddedRunner]) -> None:
    runtime = begin()
    known = {("depot", name): (200, 60.0) for name in ("Lyon", "Metz", "Nancy", "Pau")}
    have_past(runtime, "unanswered", known)
    for n in range(60):
        depot = "Lyon" if n % 2 else "Metz"
        order_id, time = f"SO-{n}", APRIL + timedelta(hours=8 * n)
        account = {"id": f"A-{n}"}
        deliver(runtime, order_id, time, account=account, contacts=[NO_CONSENT], dimensions={"depot": depot})
        ingest(runtime, asked(order_id, time + timedelta(hours=2), account_id=f"A-{n}"))
        if depot == "Metz" and n % 3:
            ingest(runtime, answered(order_id, time + timedelta(hours=3), arrival="on_time"))
    runtime.tick(APRIL + timedelta(days=30))

    found = {(row["signal"], row["value"], row["kind"]) for row in rows(runtime, alerts)}
    assert found == {("unanswered", "Lyon", "divergence")}
    (incident,) = rows(runtime, incidents)
    assert (incident["signal"], incident["dimension"], incident["value"]) == ("unanswered", "depot", "Lyon")
    assert incident["status"] == "open"
    assert 0.36 < delta_of(runtime, "unanswered", "Lyon") < 0.45, "its own past, with the upper end of the interval"


def test_a_depot_that_never_was_answered_much_has_not_fallen(begin: Callable[[], EmbeddedRunner]) -> None:
    runtime = begin()
    have_past(runtime, "unanswered", {("depot", "Lyon"): (200, 150.0), ("depot", "Metz"): (300, 60.0)})
    for n in range(40):
        order_id, time = f"SO-{n}", APRIL + timedelta(hours=12 * n)
        deliver(runtime, order_id, time, account={"id": f"A-{n}"}, contacts=[NO_CONSENT])
        ingest(runtime, asked(order_id, time + timedelta(hours=2), account_id=f"A-{n}"))
        if n % 4 == 0:
            ingest(runtime, answered(order_id, time + timedelta(hours=3), arrival="on_time"))
    runtime.tick(APRIL + timedelta(days=40))
    assert [row for row in rows(runtime, alerts) if row["signal"] == "unanswered"] == []


@everywhere
def test_a_route_that_filters_our_messages_is_an_incident(begin: Callable[[], EmbeddedRunner]) -> None:
    runtime = begin()
    have_past(runtime, "undelivered", {("message_route", "sms GB"): (150, 3.0)})
    for n in range(12):
        time = APRIL + timedelta(hours=20 * n)
        own = contact(phone=f"+4477009001{n:02}", country="GB")
        deliver(runtime, f"SO-{n}", time, account={"id": f"A-{n}"}, contacts=[own])
        sent(runtime, time + timedelta(hours=24), "failed")
    runtime.tick(APRIL + timedelta(days=20))
    (incident,) = rows(runtime, incidents)
    assert (incident["signal"], incident["dimension"], incident["value"]) == ("undelivered", "message_route", "sms GB")
    assert [row["signal"] for row in rows(runtime, alerts)] == ["undelivered"], "no depot is silent because of it"
