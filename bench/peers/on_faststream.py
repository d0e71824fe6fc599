"""FastStream, on confluent-kafka: a subscriber that is given batches."""

import asyncio
import logging

from faststream import AckPolicy, FastStream
from faststream.confluent import KafkaBroker, KafkaMessage

from bench.peers.confluent_loop import taken
from bench.peers.work import BATCH, Job, orders


async def main() -> None:
    """Until it is ended."""
    told = orders()
    job = Job(told)
    broker = KafkaBroker(told.bootstrap, enable_idempotence=True, acks="all", linger_ms=5, log_level=logging.WARNING)

    @broker.subscriber(
        *told.topics,
        group_id=told.group,
        batch=True,
        max_records=BATCH,
        auto_offset_reset="earliest",
        ack_policy=AckPolicy.ACK,
        partition_assignment_strategy=("range",),
    )
    async def take(message: KafkaMessage) -> None:
        raw = message.raw_message
        records = [taken(one) for one in (raw if isinstance(raw, tuple) else (raw,))]
        out = await asyncio.to_thread(job.do, records)
        await broker.publish_batch(*(value for _, value in out), topic=told.out)

    await FastStream(broker).run()


if __name__ == "__main__":
    asyncio.run(main())
