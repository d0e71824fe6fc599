"""Quix Streams: every event to a topic and to a sink, which writes when the application commits."""

from typing import Any

from quixstreams import Application
from quixstreams.sinks.base import BaseSink

from bench.peers.work import BATCH, Job, Orders, Taken, orders


class Sink(BaseSink):
    """Writes what has come since the last commit."""

    def __init__(self, told: Orders) -> None:
        super().__init__()
        self._job = Job(told)
        self._records: list[Taken] = []

    def add(self, value: Any, key: Any, timestamp: int, headers: Any, topic: str, partition: int, offset: int) -> None:
        """One more."""
        self._records.append(Taken(topic, partition, offset, key, value, timestamp))

    def flush(self) -> None:
        """One transaction."""
        records, self._records = self._records, []
        if records:
            self._job.do(records)


def main() -> None:
    """Until it is ended."""
    told = orders()
    app = Application(
        told.bootstrap,
        consumer_group=told.group,
        auto_offset_reset="earliest",
        commit_every=BATCH,
        commit_interval=0.1,
        auto_create_topics=False,
        loglevel="WARNING",
        producer_extra_config={"linger.ms": 5, "enable.idempotence": True},
        consumer_extra_config={"partition.assignment.strategy": "range"},
    )
    out = app.topic(told.out, value_serializer="bytes", key_serializer="bytes")
    sink = Sink(told)
    for name in told.topics:
        frame = app.dataframe(app.topic(name, value_deserializer="bytes", key_deserializer="bytes"))
        frame.to_topic(out)
        frame.sink(sink)
    app.run()


if __name__ == "__main__":
    main()
