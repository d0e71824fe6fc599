"""Plain confluent-kafka: a loop."""

from confluent_kafka import Consumer, Message, Producer

from bench.peers.work import BATCH, Job, Taken, orders


def taken(message: Message) -> Taken:
    """A message of confluent-kafka."""
    _, timestamp = message.timestamp()
    topic, value = message.topic() or "", message.value() or b""
    return Taken(topic, message.partition() or 0, message.offset() or 0, message.key(), value, timestamp)  # type: ignore[arg-type]


def consumer(bootstrap: str, group: str) -> Consumer:
    """As fast as it goes."""
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
    """Until it is ended."""
    told = orders()
    job, source = Job(told), consumer(told.bootstrap, told.group)
    producer = Producer(
        {"bootstrap.servers": told.bootstrap, "enable.idempotence": True, "linger.ms": 5, "batch.size": 200_000}
    )
    source.subscribe(told.topics)
    while True:
        records = [taken(message) for message in source.consume(BATCH, 0.1) if message.error() is None]
        if not records:
            continue
        for key, value in job.do(records):
            producer.produce(told.out, value, key)
        producer.flush()
        source.commit(asynchronous=True)


if __name__ == "__main__":
    main()
