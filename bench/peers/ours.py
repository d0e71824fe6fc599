"""Our worker as it runs. With `BENCH_OUT` it also sends one message per event, which ours leaves to a relay."""

import asyncio
import os
from collections.abc import Sequence
from datetime import UTC, datetime
from functools import partial

from aiokafka import AIOKafkaProducer, ConsumerRecord

from bench.peers.work import BATCH, Orders, orders, report, runner
from pipeline.consumers.cluster import faust_app
from pipeline.consumers.cluster.kafka import worker_clients
from pipeline.consumers.cluster.kafka.topics import DEAD_LETTERS
from pipeline.consumers.cluster.poison import Limit
from pipeline.consumers.cluster.progress import Progress
from pipeline.consumers.cluster.stages import Stages
from pipeline.consumers.cluster.worker_loop import Consuming, Poison, Work
from pipeline.settings import Settings


def _now() -> datetime:
    return datetime.now(UTC)


class _Process:
    """What the loop has done with a batch."""

    def __init__(self, stages: Stages, out: str, producer: AIOKafkaProducer, loop: asyncio.AbstractEventLoop) -> None:
        self._stages = stages
        self._out = out
        self._producer = producer
        self._loop = loop
        self._sending = "BENCH_OUT" in os.environ

    def __call__(self, records: Sequence[ConsumerRecord]) -> Poison:
        poison = self._stages.process(records)
        report([record.timestamp for record in records])
        if self._sending:
            asyncio.run_coroutine_threadsafe(self._send(records), self._loop).result()
        return poison

    async def _send(self, records: Sequence[ConsumerRecord]) -> None:
        sent = [await self._producer.send(self._out, record.value, record.key) for record in records]
        await asyncio.gather(*sent)


async def _consume(told: Orders, app: faust_app.App, stopping: asyncio.Event) -> None:
    settings, worker = Settings(kafka_bootstrap_servers=told.bootstrap), runner(told)
    consumer, producer = worker_clients.worker_clients(settings, told.group)
    process = _Process(Stages(worker, told.prefix, _now), told.out, producer, asyncio.get_running_loop())
    topics, letters = frozenset(told.topics), told.prefix + DEAD_LETTERS
    work = Work(worker, process, Limit(100, 0.2), topics, letters, BATCH, _now)
    await Consuming(consumer, producer, work, Progress(), app.sensing, stopping).run()


if __name__ == "__main__":
    app = faust_app.App("bench")
    app.carry("consumer", partial(_consume, orders(), app))
    faust_app.run(app, "--without-web")
