"""Plain kafka-python: a loop."""

from kafka import KafkaConsumer, KafkaProducer

from bench.peers.work import BATCH, BatchJob, PeerRecord, read_config


def main() -> None:
    """Run until SIGTERM."""
    config = read_config()
    job = BatchJob(config)
    consumer = KafkaConsumer(
        *config.topics,
        bootstrap_servers=config.bootstrap,
        group_id=config.group,
        enable_auto_commit=False,
        auto_offset_reset="earliest",
        max_poll_records=BATCH,
    )
    producer = KafkaProducer(bootstrap_servers=config.bootstrap, acks="all", linger_ms=5, batch_size=200_000)
    while True:
        found = [record for several in consumer.poll(100).values() for record in several]
        records = [PeerRecord(one.topic, one.partition, one.offset, one.key, one.value, one.timestamp) for one in found]
        if not records:
            continue
        for key, value in job.process(records):
            producer.send(config.out, value, key)
        producer.flush()
        consumer.commit_async()


if __name__ == "__main__":
    main()
