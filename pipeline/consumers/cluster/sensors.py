"""Reports a worker's loop to the sensors of its Faust app, as Faust's own consumer would, and feeds our metrics.

An installation may add sensors of Faust to `pipeline.app.worker.app` (StatsD, Datadog, OpenTelemetry): they receive
the same reports.
"""

from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from time import perf_counter
from typing import Any

import faust
from aiokafka import AIOKafkaConsumer, AIOKafkaProducer, ConsumerRecord, TopicPartition
from faust.types import AppT
from faust.types.tuples import Message, PendingMessage

from pipeline import metrics

Headers = Sequence[tuple[str, bytes]]
Batch = Mapping[TopicPartition, Sequence[ConsumerRecord]]


class MetricsSensor(faust.Sensor):
    """Feeds our metrics. The app's topics carry its prefix, the metrics' labels do not."""

    prefix = ""

    def count_processed(self, topic: str, records: int) -> None:
        """Count records whose effect is durable. Per batch: counted one by one they cost three per cent more time."""
        metrics.CONSUMED.labels(topic.removeprefix(self.prefix)).inc(records)

    def on_commit_initiated(self, consumer: Any) -> float:
        """Called before a commit of offsets."""
        return perf_counter()

    def on_commit_completed(self, consumer: Any, state: float) -> None:
        """Called when the broker has them."""
        metrics.COMMIT_SECONDS.observe(perf_counter() - state)

    def on_rebalance_start(self, app: AppT) -> dict[str, float]:
        """Called when the group revokes the partitions."""
        return {"begun": perf_counter()}

    def on_rebalance_end(self, app: AppT, state: dict[str, float]) -> None:
        """Called when it has assigned partitions."""
        metrics.REBALANCE_SECONDS.observe(perf_counter() - state["begun"])


class SensorNotifier:
    """Notifies every sensor of an app. Reports single records only if there is another sensor than ours."""

    def __init__(self, app: faust.App, metrics_sensor: MetricsSensor) -> None:
        self._app = app
        self._sensors = app.sensors
        self._metrics_sensor = metrics_sensor
        self._rebalance: Any = None  # what the sensors return when one begins, for its end

    def records_received(self, batch: Batch) -> Sequence[Message]:
        """Report that processing begins. Returns what `records_processed` needs."""
        if all(sensor is self._metrics_sensor for sensor in self._sensors):
            return ()
        messages = [_message(record) for records in batch.values() for record in records]
        for message in messages:
            self._sensors.on_message_in(message.tp, message.offset, message)
        return messages

    def records_processed(self, batch: Batch, messages: Sequence[Message]) -> None:
        """Report that the effect of these records is durable."""
        for partition, records in batch.items():
            self._metrics_sensor.count_processed(partition.topic, len(records))
        for message in messages:
            self._sensors.on_message_out(message.tp, message.offset, message)

    @contextmanager
    def committing(self, consumer: AIOKafkaConsumer) -> Iterator[None]:
        """Report the begin of a commit of offsets, and its end unless it fails."""
        state = self._sensors.on_commit_initiated(consumer)
        yield
        self._sensors.on_commit_completed(consumer, state)

    async def send(
        self, producer: AIOKafkaProducer, topic: str, key: bytes | None, value: bytes, headers: Headers
    ) -> None:
        """Send a message and report it. Returns when the broker has it. Raises KafkaError."""
        message = PendingMessage(None, key, value, None, None, list(headers), None, None, None, topic)  # type: ignore[arg-type]
        state = self._sensors.on_send_initiated(producer, topic, message, len(key or b""), len(value))
        try:
            where = await producer.send_and_wait(topic, value, key, headers=headers)
        except Exception as error:
            self._sensors.on_send_error(producer, error, state)
            raise
        self._sensors.on_send_completed(producer, state, where)

    def rebalance_started(self) -> None:
        """Report that the group revokes the partitions."""
        self._rebalance = self._sensors.on_rebalance_start(self._app)

    def rebalance_ended(self) -> None:
        """Report that it has assigned partitions."""
        if self._rebalance is not None:
            self._sensors.on_rebalance_return(self._app, self._rebalance)
            self._sensors.on_rebalance_end(self._app, self._rebalance)
            self._rebalance = None


def _message(record: ConsumerRecord) -> Message:
    return Message(
        record.topic,
        record.partition,
        record.offset,
        record.timestamp / 1_000,  # seconds, from milliseconds
        record.timestamp_type,
        list(record.headers),
        record.key,
        record.value,
        record.checksum,
        record.serialized_key_size,
        record.serialized_value_size,
    )
