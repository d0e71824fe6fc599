"""One delivery event from the HTTP request to the provider's POST, in cluster mode, with a broker in memory.

All processes of a cluster run as threads of this one: web, relay, worker loop and dispatcher.
"""

import asyncio
import os
import signal
import threading
from collections import defaultdict
from collections.abc import Collection, Mapping, Sequence
from concurrent.futures import Future
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

from aiokafka import ConsumerRecord, TopicPartition

from pipeline.app import bootstrap, web
from pipeline.app.installation import SharedInstallation, now, open_shared
from pipeline.app.maintenance import create_key
from pipeline.app.serving import Addresses
from pipeline.consumers.cluster.dead_letters import DeadLetterLimit
from pipeline.consumers.cluster.faust_app import App
from pipeline.consumers.cluster.kafka.topics import DEAD_LETTERS, EVENTS, EVIDENCE, RECEIVED
from pipeline.consumers.cluster.progress import Progress
from pipeline.consumers.cluster.record_processor import RecordProcessor
from pipeline.consumers.cluster.relay import RelayThread
from pipeline.consumers.cluster.runner import ClusterRunner
from pipeline.consumers.cluster.worker_loop import WorkerLoop, WorkerSetup
from tests.support.running.embedded import VAULT
from tests.support.servers.postgres import postgres_server
from tests.support.tracing.delivery import RUNS, TracedProvider, deliver, settings_for
from tests.support.tracing.recorder import Call, Recorder, files

_TOPICS = frozenset((*RECEIVED, EVENTS, EVIDENCE))


class _Broker:
    """Broker, relay's producer, worker's consumer and producer in one. Each topic has one partition."""

    def __init__(self) -> None:
        self._records: dict[str, list[ConsumerRecord]] = defaultdict(list)
        self._read: dict[str, int] = defaultdict(int)
        self._assigned: frozenset[TopicPartition] = frozenset()
        self._listener: Any = None

    def send(self, topic: str, value: bytes, key: bytes, headers: Sequence[tuple[str, bytes]]) -> "Future[None]":
        at = int(datetime.now(UTC).timestamp() * 1_000)
        offset = len(self._records[topic])
        record = ConsumerRecord(topic, 0, offset, at, 0, key, value, None, len(key), len(value), tuple(headers))
        self._records[topic].append(record)
        done: Future[None] = Future()
        done.set_result(None)
        return _Acknowledged(done)  # type: ignore[return-value]

    def close(self, timeout: float) -> None:
        """Nothing to close."""

    async def start(self) -> None:
        """Nothing to start."""

    async def stop(self) -> None:
        """Nothing to stop."""

    async def topics(self) -> set[str]:
        return {*_TOPICS, DEAD_LETTERS}

    def subscribe(self, topics: Collection[str], listener: Any) -> None:
        self._listener = listener
        self._assigned = frozenset(TopicPartition(topic, 0) for topic in topics)

    def assignment(self) -> frozenset[TopicPartition]:
        return self._assigned

    async def getmany(self, timeout_ms: int, max_records: int) -> Mapping[TopicPartition, list[ConsumerRecord]]:
        await asyncio.sleep(0.01)
        found = {}
        for partition in self._assigned:
            unread = self._records[partition.topic][self._read[partition.topic] :]
            self._read[partition.topic] += len(unread)
            if unread:
                found[partition] = unread
        return found

    async def position(self, partition: TopicPartition) -> int:
        return self._read[partition.topic]

    async def commit(self, offsets: Mapping[TopicPartition, int]) -> None:
        """Nothing to keep."""


class _Acknowledged:
    """What kafka-python returns for a record that the broker has."""

    def __init__(self, done: "Future[None]") -> None:
        self._done = done

    def get(self, timeout: float) -> None:
        self._done.result(timeout)


def trace_cluster(folder: Path) -> list[Call]:
    """The calls of the run with the fewest files."""
    recorder, runs, broker = Recorder(), list[list[Call]](), _Broker()
    provider = TracedProvider(folder / "posts-of-cluster")
    provider.recorder = recorder
    with postgres_server() as server, provider:
        url = server.create_database().render_as_string(hide_password=False)
        settings = settings_for(folder, provider, database_url=url, kafka_bootstrap_servers="localhost:9")
        shared = open_shared(settings)
        key = create_key(shared.store.engine, "trace", history=False)
        recorder.install()
        levels, prefix = shared.setup.levels, settings.kafka_topic_prefix
        relay = RelayThread(shared.store, levels, prefix, lambda: broker, now)  # type: ignore[arg-type, return-value]
        dispatcher = bootstrap.dispatcher(shared.store, settings)
        stopping = threading.Event()
        worker = threading.Thread(target=lambda: asyncio.run(_work(shared, broker, stopping)))

        def _deliver_all(public: str) -> None:
            try:
                for n in range(RUNS):
                    runs.append(deliver(n, public, key, provider))
            finally:
                os.kill(os.getpid(), signal.SIGTERM)

        def _drive(addresses: Addresses) -> None:
            threading.Thread(target=_deliver_all, args=(addresses.public,)).start()

        for thread in (relay, dispatcher, worker):
            thread.start()
        try:
            web.run(settings, _drive)
        finally:
            stopping.set()
            relay.stop()
            dispatcher.stop()
            worker.join()
            shared.store.engine.dispose()
    return min(runs, key=lambda calls: len(files(calls)))


async def _work(shared: SharedInstallation, broker: Any, stopping: threading.Event) -> None:
    runner = ClusterRunner(shared.store, shared.setup)
    limit = DeadLetterLimit(100, 0.2)
    setup = WorkerSetup(
        runner, RecordProcessor(runner, "", now).process, limit, _TOPICS, DEAD_LETTERS, 500, VAULT.seal_bytes, now
    )
    end = asyncio.Event()
    loop = asyncio.create_task(WorkerLoop(broker, broker, setup, Progress(), App("trace").sensor_notifier, end).run())
    while not stopping.is_set():
        await asyncio.sleep(0.05)
    end.set()
    await loop
