"""What a worker's loop tells the sensors of its Faust app, beside what really happens on the broker."""

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
from pipeline.consumers.cluster.worker_loop import Poison
from pipeline.domain.events.contract import BadEvent
from tests.support.running.group import AWAY, Group, joined, record, until, working

Process = Callable[[Sequence[ConsumerRecord]], Poison]
Scenario = Callable[[asyncio.Event], Coroutine[Any, Any, None]]


class Told(faust.Sensor):
    """Keeps what it hears, in its order."""

    def __init__(self) -> None:
        super().__init__()
        self.heard: list[str] = []

    def on_message_in(self, tp: Any, offset: int, message: Any) -> None:
        self.heard.append(f"in {tp.topic}/{tp.partition}/{offset} {message.key!r} {message.timestamp:g}")

    def on_message_out(self, tp: Any, offset: int, message: Any) -> None:
        self.heard.append(f"out {offset}")

    def on_commit_initiated(self, consumer: Any) -> str:
        self.heard.append("commit")
        return "state"

    def on_commit_completed(self, consumer: Any, state: Any) -> None:
        self.heard.append(f"committed {state}")

    def on_rebalance_start(self, app: Any) -> dict[str, Any]:
        self.heard.append("rebalance")
        return {}

    def on_rebalance_return(self, app: Any, state: dict[str, Any]) -> None:
        self.heard.append("rebalanced")

    def on_rebalance_end(self, app: Any, state: dict[str, Any]) -> None:
        self.heard.append("rebalance ended")

    def on_send_initiated(self, producer: Any, topic: str, message: Any, keysize: int, valsize: int) -> str:
        self.heard.append(f"send {message.topic} {keysize}+{valsize} {dict(message.headers)['offset']!r}")
        return "state"

    def on_send_completed(self, producer: Any, state: Any, metadata: Any) -> None:
        self.heard.append(f"sent to {metadata.topic}, {state}")

    def on_send_error(self, producer: Any, exc: BaseException, state: Any) -> None:
        self.heard.append(f"not sent: {type(exc).__name__}, {state}")


def heard_of(group: Group, process: Process, scenario: Scenario) -> list[str]:
    app, told = App("test"), Told()
    app.sensors.add(told)
    working(group, process, scenario, app=app)
    return told.heard


def through(group: Group) -> Scenario:
    async def _scenario(_: asyncio.Event) -> None:
        await joined(group)
        await until(lambda: group.committed[-1:] == [len(group.records)])

    return _scenario


def test_a_record_is_told_of_when_it_is_taken_up_and_when_its_effect_is_durable() -> None:
    group = Group([record(0), record(1)])
    heard = heard_of(group, lambda _: [], through(group))
    came, went = ["in orders/0/0 b'SO-1' 0", "in orders/0/1 b'SO-1' 0"], ["out 0", "out 1"]
    assert heard == [*came, *went, "commit", "committed state"]


def test_of_a_batch_that_is_tried_again_it_is_told_once() -> None:
    group, tries = Group([record(0)]), list[int]()

    def _process(records: Sequence[ConsumerRecord]) -> Poison:
        tries.append(len(records))
        if len(tries) < 3:
            raise AWAY
        return []

    heard = heard_of(group, _process, through(group))
    assert [one.split()[0] for one in heard] == ["in", "out", "commit", "committed"]


def test_a_batch_that_is_handed_back_never_went_out() -> None:
    group = Group([record(0)])

    def _process(records: Sequence[ConsumerRecord]) -> Poison:
        raise AWAY

    async def _scenario(stopping: asyncio.Event) -> None:
        await joined(group)
        await until(lambda: group.place == 1)
        stopping.set()

    assert [one.split()[0] for one in heard_of(group, _process, _scenario)] == ["in"]


def test_a_commit_that_fails_has_no_end(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("pipeline.consumers.cluster.offsets._AGAIN_SECONDS", 0)
    group = Group([record(0)], fails=deque([KafkaConnectionError()]))
    heard = heard_of(group, lambda _: [], through(group))
    assert heard[-3:] == ["commit", "commit", "committed state"]


def test_a_rebalance_is_told_from_the_loss_of_partitions_to_the_next_ones() -> None:
    group = Group()

    async def _scenario(_: asyncio.Event) -> None:
        await joined(group)
        await group.share_out()

    assert heard_of(group, lambda _: [], _scenario) == ["rebalance", "rebalanced", "rebalance ended"]


def test_a_dead_letter_is_told_of_as_sent_or_not_sent() -> None:
    group = Group([record(0, b"{")], refuses=deque([NotEnoughReplicasError()]))
    heard = heard_of(group, lambda records: [(records[0], BadEvent("cut off"))], through(group))
    said = [one for one in heard if "sen" in one]
    begun = "send dead-letters 4+1 b'0'"
    assert said == [begun, "not sent: NotEnoughReplicasError, state", begun, "sent to dead-letters, state"]


def measured(name: str, **labels: str) -> float:
    return REGISTRY.get_sample_value(f"unvarnished_{name}", labels) or 0


def test_our_own_sensor_measures_records_commits_and_rebalances() -> None:
    def _all() -> list[float]:
        durable = measured("consumed_records_total", topic="orders")
        return [durable, measured("offset_commit_seconds_count"), measured("rebalance_seconds_count")]

    group, app, before = Group([record(0), record(1)]), App("test"), _all()

    async def _scenario(_: asyncio.Event) -> None:
        await joined(group)
        await until(lambda: bool(group.committed))
        await group.share_out()

    app.sensors.add(app.monitor)
    working(group, lambda _: [], _scenario, app=app)
    assert [now - then for now, then in zip(_all(), before, strict=True)] == [2, len(group.committed), 1]


def test_the_prefix_of_an_installations_topics_is_in_no_label() -> None:
    app, before = App("test"), measured("consumed_records_total", topic="orders")
    app.measures.prefix = "acme-"
    batch = {TopicPartition("acme-orders", 0): [record(0)]}
    app.sensing.went_out(batch, app.sensing.came_in(batch))
    assert measured("consumed_records_total", topic="orders") == before + 1


def test_whoever_adds_a_sensor_of_fausts_own_finds_its_figures() -> None:
    app, monitor, group = App("test"), Monitor(), Group([record(0), record(1), record(2)])
    app.sensors.add(monitor)
    working(group, lambda _: [], through(group), app=app)
    assert monitor.messages_received_total == 3
    assert monitor.messages_active == 0
    assert monitor.messages_received_by_topic == {"orders": 3}
    assert len(monitor.commit_latency) == len(group.committed)
