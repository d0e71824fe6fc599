"""FastStream, on confluent-kafka: a subscriber that receives batches."""

import asyncio
import logging

from faststream import AckPolicy, FastStream
from faststream.confluent import KafkaBroker, KafkaMessage

from bench.peers.confluent_loop import to_peer_record
from bench.peers.work import BATCH, BatchJob, read_config


async def main() -> None:
    """Run until SIGTERM."""
    config = read_config()
    job = BatchJob(config)
    broker = KafkaBroker(config.bootstrap, enable_idempotence=True, acks="all", linger_ms=5, log_level=logging.WARNING)

    @broker.subscriber(
        *config.topics,
        group_id=config.group,
        batch=True,
        max_records=BATCH,
        auto_offset_reset="earliest",
        ack_policy=AckPolicy.ACK,
        partition_assignment_strategy=("range",),
    )
    async def process(message: KafkaMessage) -> None:
        raw = message.raw_message
        records = [to_peer_record(one) for one in (raw if isinstance(raw, tuple) else (raw,))]
        out = await asyncio.to_thread(job.process, records)
        await broker.publish_batch(*(value for _, value in out), topic=config.out)

    await FastStream(broker).run()


if __name__ == "__main__":
    asyncio.run(main())
