"""While this machine's clock is wrong nothing is received, nothing becomes due and nothing is sent."""

import asyncio
from collections.abc import Iterator
from datetime import time, timedelta
from functools import partial
from pathlib import Path
from typing import Any

import pytest
from litestar.testing import TestClient
from sqlalchemy import func, select

from pipeline.consumers.cluster.record_processor import RecordProcessor
from pipeline.consumers.cluster.runner import ClusterRunner
from pipeline.consumers.runtime.embedded import EmbeddedRunner
from pipeline.consumers.runtime.receipt_clock import ReceiptClock
from pipeline.consumers.runtime.write_queue import WriteQueue
from pipeline.domain.asking.channels import SMS
from pipeline.domain.asking.policy import Policy
from pipeline.errors import ClockSuspect
from pipeline.notifiers.channels.twilio.paths import TEXT_PATH
from pipeline.notifiers.channels.twilio.webhooks import TwilioWebhooks
from pipeline.store.db.engine import reading
from pipeline.store.journal.spool import Spool
from pipeline.store.journal.state import clock_of
from pipeline.store.schema.asks import asks
from pipeline.store.schema.conversations import inbound_messages
from pipeline.store.schema.evidence import evidence
from pipeline.store.schema.journal import journal
from pipeline.store.schema.orders import orders
from pipeline.web.http.server import internal_app, public_app
from pipeline.web.public import provider_webhooks
from pipeline.web.public.provider_webhooks import ProviderWebhooks
from tests.support.builders import answered, at, completed, scanned
from tests.support.limits import until
from tests.support.modes import EVERYWHERE
from tests.support.provider import Provider
from tests.support.requests.ingesting import open_endpoint, problem, services_of
from tests.support.running.embedded import VAULT, ingest
from tests.support.running.group import Group, joined_for_good, record, working
from tests.support.running.machine import DECADES, Machine
from tests.support.running.sending import dispatcher, sending_runner, twilio
from tests.support.running.writing import BOUNDS, Gate
from tests.support.stored import rows

POLICY = Policy(quiet_from=time(0), quiet_until=time(0))
everywhere = pytest.mark.parametrize("database_url", EVERYWHERE, indirect=True)


@pytest.fixture
def machine() -> Machine:
    return Machine(at(hours=2))


@pytest.fixture
def clock(machine: Machine) -> ReceiptClock:
    return machine.clock()


@pytest.fixture
def runtime(database_url: str) -> Iterator[EmbeddedRunner]:
    made = sending_runner(database_url, POLICY)
    yield made
    made.engine.dispose()


def newest_receipt(runtime: EmbeddedRunner) -> Any:
    with reading(runtime.engine) as connection:
        return connection.execute(select(func.max(journal.c.received_at))).scalar()


@everywhere
def test_events_are_refused_for_now_and_received_once_the_clock_is_right(
    runtime: EmbeddedRunner, machine: Machine, clock: ReceiptClock
) -> None:
    with open_endpoint(runtime, clock) as events:
        assert events.post(completed()).status_code == 202
        for machine.error in (DECADES, -DECADES, timedelta(hours=1)):
            refused = events.post(scanned(time=at(hours=2)))
            assert "clock has jumped" in problem(refused, 503)["detail"]
            assert refused.headers["retry-after"]
        assert newest_receipt(runtime) == machine.now
        machine.error = timedelta(0)
        machine.now += timedelta(hours=1)
        assert events.post(scanned(time=at(hours=2))).status_code == 202
    assert newest_receipt(runtime) == machine.now
    (ask,) = rows(runtime, asks)
    assert ask["wake_at"] < machine.now + timedelta(days=1), "the question was not put off to another century"


@everywhere
def test_no_event_is_refused_for_its_time_while_our_own_is_behind(
    runtime: EmbeddedRunner, machine: Machine, clock: ReceiptClock
) -> None:
    """After a start with a clock that was set back receipts wait for it, and cannot tell what is ahead."""
    object.__setattr__(runtime.store, "clock", clock)  # of every part of the runtime, which share the store
    truth = machine.now
    machine.error = -timedelta(days=1)
    clock.start_after(truth - timedelta(hours=2))
    with open_endpoint(runtime, clock) as events:
        assert events.post(completed(time=truth)).status_code == 202
        assert newest_receipt(runtime) == truth - timedelta(hours=2), "receipts do not run backwards"
        assert len(rows(runtime, orders)) == 1
        machine.error = timedelta(0)
        clock.accept()
        late = events.post(completed("SO-2", time=truth + timedelta(minutes=11)))
        assert problem(late, 422)["field"] == "time"


@everywhere
def test_an_inbound_text_is_left_to_the_providers_list(
    runtime: EmbeddedRunner, machine: Machine, clock: ReceiptClock, tmp_path: Path
) -> None:
    provider = ProviderWebhooks(SMS, TwilioWebhooks("AC1", ["secret"], "https://ask.example.com"))
    spool = Spool(tmp_path / "spool", VAULT, 1 << 20)
    services = services_of(runtime, lambda _: None, clock)
    machine.error = DECADES
    with TestClient(public_app(services, partial(provider_webhooks.routes, provider=provider, spool=spool))) as client:
        assert "clock" in problem(client.post(TEXT_PATH, content=b"Body=STOP"), 503)["detail"]
    assert spool.empty
    assert rows(runtime, inbound_messages) == []


@everywhere
def test_a_process_with_a_wrong_clock_is_not_ready_and_says_why(
    runtime: EmbeddedRunner, machine: Machine, clock: ReceiptClock
) -> None:
    services = services_of(runtime, lambda _: None)
    with TestClient(internal_app(services, "token", clock.problems)) as client:
        assert client.get("/readyz").status_code == 200
        machine.error = DECADES
        assert "clock has jumped ahead by 26000 days" in problem(client.get("/readyz"), 503)["detail"]
        metrics = client.get("/metrics", headers={"authorization": "Bearer token"}).text
        assert "\nunvarnished_clock_suspect 1.0\n" in metrics
        assert "\nunvarnished_ready 0.0\n" in metrics
        machine.error = timedelta(0)
        assert client.get("/readyz").status_code == 200
        assert (
            "\nunvarnished_clock_suspect 0.0\n"
            in client.get("/metrics", headers={"authorization": "Bearer token"}).text
        )


@pytest.mark.parametrize("database_url", ["sqlite", "postgresql"], indirect=True)
def test_no_timer_fires_and_the_events_clock_does_not_move(
    runtime: EmbeddedRunner, machine: Machine, clock: ReceiptClock
) -> None:
    ingest(runtime, completed(), received_at=machine.now)
    machine.error = DECADES
    read = list[ClockSuspect]()

    def _counted() -> Any:
        try:
            return clock()
        except ClockSuspect as suspect:
            read.append(suspect)
            raise

    gate = Gate(runtime)
    queue = WriteQueue(gate, BOUNDS, _counted)
    queue.start()
    try:
        queue.wake()
        until(lambda: len(read) > 1, "the queue reads its clock")
        assert queue.alive
        assert not queue.unavailable, "the database works"
        with reading(runtime.engine) as connection:
            assert clock_of(connection) == machine.now
        machine.error = timedelta(0)
        machine.now += timedelta(hours=1)
        queue.wake()
        until(lambda: gate.ticks.acquire(blocking=False) or None, "timers fire again")
    finally:
        queue.stop()
    with reading(runtime.engine) as connection:
        assert clock_of(connection) == machine.now


@everywhere
def test_no_question_is_sent_or_given_up(
    runtime: EmbeddedRunner, machine: Machine, clock: ReceiptClock, tmp_path: Path
) -> None:
    delivered = machine.now
    ingest(runtime, completed(), scanned(time=delivered), received_at=delivered)
    before = rows(runtime, asks)
    read = list[ClockSuspect]()

    def _counted() -> Any:
        try:
            return clock()
        except ClockSuspect as suspect:
            read.append(suspect)
            raise

    machine.now += timedelta(hours=6)
    machine.error = DECADES
    with Provider(tmp_path / "posts", now=lambda: machine.now) as provider:
        sender = dispatcher(runtime.store, twilio(provider.url), POLICY, now=_counted)
        sender.start()
        try:
            until(lambda: len(read) > 1, "the dispatcher reads its clock")
            assert rows(runtime, asks) == before
            assert provider.made == []
            machine.error = timedelta(0)
            sender.wake()
            until(lambda: provider.made, "the question is sent once the clock is right")
        finally:
            sender.stop()
        assert len(provider.made) == 1


@pytest.mark.parametrize("database_url", ["postgresql"], indirect=True)
def test_a_worker_keeps_its_records_until_the_clock_is_right(
    runtime: EmbeddedRunner, machine: Machine, clock: ReceiptClock
) -> None:
    """No offset is committed, and the loop neither ends nor makes dead letters."""
    runner = ClusterRunner(runtime.store, runtime.setup)
    processor = RecordProcessor(runner, "", clock)
    group = Group([record(0, completed())])
    machine.error = DECADES
    refused = list[bool]()

    def _process(records: Any) -> Any:
        if len(refused) == 2:
            assert newest_receipt(runtime) is None
            machine.error = timedelta(0)
        refused.append(True)
        return processor.process(records)

    async def _scenario(_: Any) -> None:
        joining = asyncio.create_task(joined_for_good(group))
        while 1 not in group.committed:
            await asyncio.sleep(0.01)
        joining.cancel()

    working(group, _process, _scenario)
    assert len(refused) == 3
    assert (group.committed[-1], group.dead_letters) == (1, [])
    assert newest_receipt(runtime) == machine.now


@everywhere
def test_the_evidence_gets_no_day_from_a_wrong_clock(
    runtime: EmbeddedRunner, machine: Machine, clock: ReceiptClock
) -> None:
    ingest(runtime, completed(), scanned(time=machine.now), received_at=machine.now)
    answer = answered(time=machine.now, arrival="late")
    machine.error = DECADES
    for _ in range(4):  # seconds
        machine.now += timedelta(seconds=1)
        with pytest.raises(ClockSuspect):
            ingest(runtime, answer, received_at=clock())
        with pytest.raises(ClockSuspect):
            runtime.tick(clock())
    machine.error = timedelta(0)
    ingest(runtime, answer, received_at=clock())
    assert {row["day"] for row in rows(runtime, evidence) if "day" in row} <= {machine.now.date().toordinal()}
