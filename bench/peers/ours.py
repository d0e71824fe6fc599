"""Our worker. With `BENCH_OUT` it also publishes one message for each event, which it otherwise leaves to a relay."""

import asyncio
import os
from collections.abc import Sequence
from datetime import UTC, datetime
from functools import partial

from aiokafka import AIOKafkaProducer, ConsumerRecord

from bench.peers.work import BATCH, ContenderConfig, read_config, report, runner
from pipeline.consumers.cluster import faust_app
from pipeline.consumers.cluster.dead_letters import DeadLetterLimit
from pipeline.consumers.cluster.kafka import worker_clients
from pipeline.consumers.cluster.kafka.topics import DEAD_LETTERS
from pipeline.consumers.cluster.progress import Progress
from pipeline.consumers.cluster.record_processor import RecordProcessor
from pipeline.consumers.cluster.worker_loop import PoisonRecords, WorkerLoop, WorkerSetup
from pipeline.settings import Settings
from pipeline.store.people.vault import KEY_BYTES, Vault


def _now() -> datetime:
    return datetime.now(UTC)


class _Process:
    """Processes a batch of the worker loop, and reports it."""

    def __init__(
        self, stages: RecordProcessor, out: str, producer: AIOKafkaProducer, loop: asyncio.AbstractEventLoop
    ) -> None:
        self._stages = stages
        self._out = out
        self._producer = producer
        self._loop = loop
        self._sending = "BENCH_OUT" in os.environ

    def __call__(self, records: Sequence[ConsumerRecord]) -> PoisonRecords:
        poison = self._stages.process(records)
        report([record.timestamp for record in records])
        if self._sending:
            asyncio.run_coroutine_threadsafe(self._send(records), self._loop).result()
        return poison

    async def _send(self, records: Sequence[ConsumerRecord]) -> None:
        sent = [await self._producer.send(self._out, record.value, record.key) for record in records]
        await asyncio.gather(*sent)


async def _consume(config: ContenderConfig, app: faust_app.App, stopping: asyncio.Event) -> None:
    settings, worker = Settings(kafka_bootstrap_servers=config.bootstrap), runner(config)
    consumer, producer = worker_clients.worker_clients(settings, config.group)
    process = _Process(RecordProcessor(worker, config.prefix, _now), config.out, producer, asyncio.get_running_loop())
    topics, dead_letter_topic = frozenset(config.topics), config.prefix + DEAD_LETTERS
    work = WorkerSetup(
        worker,
        process,
        DeadLetterLimit(100, 0.2),
        topics,
        dead_letter_topic,
        BATCH,
        Vault(bytes(KEY_BYTES)).seal_bytes,
        _now,
    )
    await WorkerLoop(consumer, producer, work, Progress(), app.sensor_notifier, stopping).run()


if __name__ == "__main__":
    app = faust_app.App("bench")
    app.add_task("consumer", partial(_consume, read_config(), app))
    faust_app.run(app, "--without-web")
