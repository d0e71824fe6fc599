"""The reports of a worker's loop to the sensors of its Faust app, compared with what happens on the broker."""

import asyncio
from collections import deque
from collections.abc import Callable, Coroutine, Sequence
from typing import Any

import faust
import pytest
from aiokafka import ConsumerRecord, TopicPartition
from aiokafka.errors import KafkaConnectionError, NotEnoughReplicasError
from faust.sensors import Monitor
from prometheus_client import REGISTRY

from pipeline.consumers.cluster.faust_app import App
from pipeline.consumers.cluster.worker_loop import PoisonRecords
from pipeline.domain.events.contract import BadEvent
from tests.support.running.group import UNAVAILABLE, Group, joined, record, until, working

Process = Callable[[Sequence[ConsumerRecord]], PoisonRecords]
Scenario = Callable[[asyncio.Event], Coroutine[Any, Any, None]]


class RecordingSensor(faust.Sensor):
    """A sensor that records the reports in order."""

    def __init__(self) -> None:
        super().__init__()
        self.reports: list[str] = []

    def on_message_in(self, tp: Any, offset: int, message: Any) -> None:
        self.reports.append(f"in {tp.topic}/{tp.partition}/{offset} {message.key!r} {message.timestamp:g}")

    def on_message_out(self, tp: Any, offset: int, message: Any) -> None:
        self.reports.append(f"out {offset}")

    def on_commit_initiated(self, consumer: Any) -> str:
        self.reports.append("commit")
        return "state"

    def on_commit_completed(self, consumer: Any, state: Any) -> None:
        self.reports.append(f"committed {state}")

    def on_rebalance_start(self, app: Any) -> dict[str, Any]:
        self.reports.append("rebalance")
        return {}

    def on_rebalance_return(self, app: Any, state: dict[str, Any]) -> None:
        self.reports.append("rebalanced")

    def on_rebalance_end(self, app: Any, state: dict[str, Any]) -> None:
        self.reports.append("rebalance ended")

    def on_send_initiated(self, producer: Any, topic: str, message: Any, keysize: int, valsize: int) -> str:
        self.reports.append(f"send {message.topic} {keysize}+{valsize} {dict(message.headers)['offset']!r}")
        return "state"

    def on_send_completed(self, producer: Any, state: Any, metadata: Any) -> None:
        self.reports.append(f"sent to {metadata.topic}, {state}")

    def on_send_error(self, producer: Any, exc: BaseException, state: Any) -> None:
        self.reports.append(f"not sent: {type(exc).__name__}, {state}")


def reports_of(group: Group, process: Process, scenario: Scenario) -> list[str]:
    app, sensor = App("test"), RecordingSensor()
    app.sensors.add(sensor)
    working(group, process, scenario, app=app)
    return sensor.reports


def through(group: Group) -> Scenario:
    async def _scenario(_: asyncio.Event) -> None:
        await joined(group)
        await until(lambda: group.committed[-1:] == [len(group.records)])

    return _scenario


def test_a_record_is_reported_when_processing_begins_and_when_its_effect_is_durable() -> None:
    group = Group([record(0), record(1)])
    reports = reports_of(group, lambda _: [], through(group))
    came, went = ["in orders/0/0 b'SO-1' 0", "in orders/0/1 b'SO-1' 0"], ["out 0", "out 1"]
    assert reports == [*came, *went, "commit", "committed state"]


def test_a_retried_batch_is_reported_once() -> None:
    group, tries = Group([record(0)]), list[int]()

    def _process(records: Sequence[ConsumerRecord]) -> PoisonRecords:
        tries.append(len(records))
        if len(tries) < 3:
            raise UNAVAILABLE
        return []

    reports = reports_of(group, _process, through(group))
    assert [one.split()[0] for one in reports] == ["in", "out", "commit", "committed"]


def test_a_batch_left_unprocessed_is_not_reported_as_processed() -> None:
    group = Group([record(0)])

    def _process(records: Sequence[ConsumerRecord]) -> PoisonRecords:
        raise UNAVAILABLE

    async def _scenario(stopping: asyncio.Event) -> None:
        await joined(group)
        await until(lambda: group.next_offset == 1)
        stopping.set()

    assert [one.split()[0] for one in reports_of(group, _process, _scenario)] == ["in"]


def test_a_commit_that_fails_has_no_end(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("pipeline.consumers.cluster.offsets._RETRY_SECONDS", 0)
    group = Group([record(0)], fails=deque([KafkaConnectionError()]))
    reports = reports_of(group, lambda _: [], through(group))
    assert reports[-3:] == ["commit", "commit", "committed state"]


def test_a_rebalance_is_reported_from_revocation_to_assignment() -> None:
    group = Group()

    async def _scenario(_: asyncio.Event) -> None:
        await joined(group)
        await group.rebalance()

    assert reports_of(group, lambda _: [], _scenario) == ["rebalance", "rebalanced", "rebalance ended"]


def test_a_dead_letter_is_reported_as_sent_or_failed() -> None:
    group = Group([record(0, b"{")], refuses=deque([NotEnoughReplicasError()]))
    reports = reports_of(group, lambda records: [(records[0], BadEvent("cut off"))], through(group))
    sent = [one for one in reports if "sen" in one]
    begun = "send dead-letters 0+39 b'0'"
    assert sent == [begun, "not sent: NotEnoughReplicasError, state", begun, "sent to dead-letters, state"]


def measured(name: str, **labels: str) -> float:
    return REGISTRY.get_sample_value(f"unvarnished_{name}", labels) or 0


def test_the_metrics_sensor_measures_records_commits_and_rebalances() -> None:
    def _all() -> list[float]:
        durable = measured("consumed_records_total", topic="orders")
        return [durable, measured("offset_commit_seconds_count"), measured("rebalance_seconds_count")]

    group, app, before = Group([record(0), record(1)]), App("test"), _all()

    async def _scenario(_: asyncio.Event) -> None:
        await joined(group)
        await until(lambda: bool(group.committed))
        await group.rebalance()

    app.sensors.add(app.monitor)
    working(group, lambda _: [], _scenario, app=app)
    assert [now - then for now, then in zip(_all(), before, strict=True)] == [2, len(group.committed), 1]


def test_the_prefix_of_an_installations_topics_is_in_no_label() -> None:
    app, before = App("test"), measured("consumed_records_total", topic="orders")
    app.metrics_sensor.prefix = "acme-"
    batch = {TopicPartition("acme-orders", 0): [record(0)]}
    app.sensor_notifier.records_processed(batch, app.sensor_notifier.records_received(batch))
    assert measured("consumed_records_total", topic="orders") == before + 1


def test_an_added_sensor_of_faust_has_its_figures() -> None:
    app, monitor, group = App("test"), Monitor(), Group([record(0), record(1), record(2)])
    app.sensors.add(monitor)
    working(group, lambda _: [], through(group), app=app)
    assert monitor.messages_received_total == 3
    assert monitor.messages_active == 0
    assert monitor.messages_received_by_topic == {"orders": 3}
    assert len(monitor.commit_latency) == len(group.committed)
