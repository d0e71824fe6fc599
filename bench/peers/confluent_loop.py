"""Plain confluent-kafka: a loop."""

from confluent_kafka import Consumer, Message, Producer

from bench.peers.work import BATCH, BatchJob, PeerRecord, read_config


def to_peer_record(message: Message) -> PeerRecord:
    """Convert a message of confluent-kafka."""
    _, timestamp = message.timestamp()
    topic, value = message.topic() or "", message.value() or b""
    return PeerRecord(topic, message.partition() or 0, message.offset() or 0, message.key(), value, timestamp)  # type: ignore[arg-type]


def consumer(bootstrap: str, group: str) -> Consumer:
    """A consumer that reads from the earliest offset and commits by hand."""
    return Consumer(
        {
            "bootstrap.servers": bootstrap,
            "group.id": group,
            "enable.auto.commit": False,
            "auto.offset.reset": "earliest",
            "partition.assignment.strategy": "range",
        }
    )


def main() -> None:
    """Run until SIGTERM."""
    config = read_config()
    job, source = BatchJob(config), consumer(config.bootstrap, config.group)
    producer = Producer(
        {"bootstrap.servers": config.bootstrap, "enable.idempotence": True, "linger.ms": 5, "batch.size": 200_000}
    )
    source.subscribe(config.topics)
    while True:
        records = [to_peer_record(message) for message in source.consume(BATCH, 0.1) if message.error() is None]
        if not records:
            continue
        for key, value in job.process(records):
            producer.produce(config.out, value, key)
        producer.flush()
        source.commit(asynchronous=True)


if __name__ == "__main__":
    main()
