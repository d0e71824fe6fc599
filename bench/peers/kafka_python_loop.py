"""Plain kafka-python: a loop."""

from kafka import KafkaConsumer, KafkaProducer

from bench.peers.work import BATCH, Job, Taken, orders


def main() -> None:
    """Until it is ended."""
    told = orders()
    job = Job(told)
    consumer = KafkaConsumer(
        *told.topics,
        bootstrap_servers=told.bootstrap,
        group_id=told.group,
        enable_auto_commit=False,
        auto_offset_reset="earliest",
        max_poll_records=BATCH,
    )
    producer = KafkaProducer(bootstrap_servers=told.bootstrap, acks="all", linger_ms=5, batch_size=200_000)
    while True:
        found = [record for several in consumer.poll(100).values() for record in several]
        records = [Taken(one.topic, one.partition, one.offset, one.key, one.value, one.timestamp) for one in found]
        if not records:
            continue
        for key, value in job.do(records):
            producer.send(told.out, value, key)
        producer.flush()
        consumer.commit_async()


if __name__ == "__main__":
    main()
