"""Quix Streams: every event goes to a topic and to a sink, which writes when the application commits."""

from typing import Any

from quixstreams import Application
from quixstreams.sinks.base import BaseSink

from bench.peers.work import BATCH, BatchJob, ContenderConfig, PeerRecord, read_config


class Sink(BaseSink):
    """Processes the records since the last commit."""

    def __init__(self, config: ContenderConfig) -> None:
        super().__init__()
        self._job = BatchJob(config)
        self._records: list[PeerRecord] = []

    def add(self, value: Any, key: Any, timestamp: int, headers: Any, topic: str, partition: int, offset: int) -> None:
        """Add a record to the batch."""
        self._records.append(PeerRecord(topic, partition, offset, key, value, timestamp))

    def flush(self) -> None:
        """Process the batch."""
        records, self._records = self._records, []
        if records:
            self._job.process(records)


def main() -> None:
    """Run until SIGTERM."""
    config = read_config()
    app = Application(
        config.bootstrap,
        consumer_group=config.group,
        auto_offset_reset="earliest",
        commit_every=BATCH,
        commit_interval=0.1,
        auto_create_topics=False,
        loglevel="WARNING",
        producer_extra_config={"linger.ms": 5, "enable.idempotence": True},
        consumer_extra_config={"partition.assignment.strategy": "range"},
    )
    out = app.topic(config.out, value_serializer="bytes", key_serializer="bytes")
    sink = Sink(config)
    for name in config.topics:
        frame = app.dataframe(app.topic(name, value_deserializer="bytes", key_deserializer="bytes"))
        frame.to_topic(out)
        frame.sink(sink)
    app.run()


if __name__ == "__main__":
    main()
