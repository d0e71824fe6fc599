"""What a worker's loop tells the sensors of its Faust app, as Faust's own consumer would, and the sensor that measures.

Whichever sensor of Faust an installation adds to `pipeline.app.worker.app` (StatsD, Datadog, OpenTelemetry) hears
the same.
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


class Measures(faust.Sensor):
    """Feeds our metrics. The topics of our app carry its prefix, the metrics' labels do not."""

    prefix = ""

    def durable(self, topic: str, records: int) -> None:
        """So many have had their effect. For many at once: told one by one they would cost three per cent more."""
        metrics.CONSUMED.labels(topic.removeprefix(self.prefix)).inc(records)

    def on_commit_initiated(self, consumer: Any) -> float:
        """Offsets are on their way to the broker."""
        return perf_counter()

    def on_commit_completed(self, consumer: Any, state: float) -> None:
        """The broker has noted them."""
        metrics.COMMIT_SECONDS.observe(perf_counter() - state)

    def on_rebalance_start(self, app: AppT) -> dict[str, float]:
        """The group takes our partitions away."""
        return {"begun": perf_counter()}

    def on_rebalance_end(self, app: AppT, state: dict[str, float]) -> None:
        """It has given us some."""
        metrics.REBALANCE_SECONDS.observe(perf_counter() - state["begun"])


class Sensing:
    """Tells every sensor of an app what happens; of single records only where another one than ours listens."""

    def __init__(self, app: faust.App, measures: Measures) -> None:
        self._app = app
        self._sensors = app.sensors
        self._measures = measures
        self._rebalance: Any = None  # what the sensors keep from its begin to its end

    def came_in(self, batch: Batch) -> Sequence[Message]:
        """These are taken up. Returns what `went_out` is to be given."""
        if all(sensor is self._measures for sensor in self._sensors):
            return ()
        messages = [_message(record) for records in batch.values() for record in records]
        for message in messages:
            self._sensors.on_message_in(message.tp, message.offset, message)
        return messages

    def went_out(self, batch: Batch, messages: Sequence[Message]) -> None:
        """The effect of these is durable."""
        for partition, records in batch.items():
            self._measures.durable(partition.topic, len(records))
        for message in messages:
            self._sensors.on_message_out(message.tp, message.offset, message)

    @contextmanager
    def committing(self, consumer: AIOKafkaConsumer) -> Iterator[None]:
        """Around a commit of offsets; of one that fails no end is told."""
        state = self._sensors.on_commit_initiated(consumer)
        yield
        self._sensors.on_commit_completed(consumer, state)

    async def send(
        self, producer: AIOKafkaProducer, topic: str, key: bytes | None, value: bytes, headers: Headers
    ) -> None:
        """Send a message; returns when the broker has it. Raises KafkaError."""
        message = PendingMessage(None, key, value, None, None, list(headers), None, None, None, topic)  # type: ignore[arg-type]
        state = self._sensors.on_send_initiated(producer, topic, message, len(key or b""), len(value))
        try:
            where = await producer.send_and_wait(topic, value, key, headers=headers)
        except Exception as error:
            self._sensors.on_send_error(producer, error, state)
            raise
        self._sensors.on_send_completed(producer, state, where)

    def rebalance_begins(self) -> None:
        """The group takes our partitions away."""
        self._rebalance = self._sensors.on_rebalance_start(self._app)

    def rebalance_ended(self) -> None:
        """It has given us some."""
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
