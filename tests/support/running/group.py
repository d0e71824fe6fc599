"""A fake of broker, consumer group and client, and a worker's loop that runs on it."""

import asyncio
from collections import deque
from collections.abc import Callable, Collection, Coroutine, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import UTC, datetime
from typing import Any

from aiokafka import ConsumerRecord, TopicPartition
from aiokafka.structs import RecordMetadata
from sqlalchemy.exc import OperationalError

from pipeline.consumers.cluster.dead_letters import DeadLetterLimit
from pipeline.consumers.cluster.faust_app import App
from pipeline.consumers.cluster.progress import Progress
from pipeline.consumers.cluster.worker_loop import PoisonRecords, WorkerLoop, WorkerSetup
from tests.support.limits import PATIENCE
from tests.support.running.dead_letters import VAULT

ORDERS = TopicPartition("orders", 0)
UNAVAILABLE = OperationalError("SELECT 1", None, ConnectionError())


def record(offset: int, value: bytes = b"{}") -> ConsumerRecord:
    return ConsumerRecord("orders", 0, offset, 0, 0, b"SO-1", value, None, 4, len(value), ())


@dataclass
class Group:
    """Broker, group and client in one: a partition whose records are returned as by a real client."""

    records: Sequence[ConsumerRecord] = ()
    committed: list[int] = field(default_factory=list)
    dead_letters: list[tuple[str, bytes]] = field(default_factory=list)
    log: list[str] = field(default_factory=list)  # what happened, in order
    fails: deque[Exception] = field(default_factory=deque)  # the errors of the next commits
    refuses: deque[Exception] = field(default_factory=deque)  # the errors of the next dead letters
    slow: asyncio.Event | None = None  # what a commit waits for
    in_flight: int = 0

    def __post_init__(self) -> None:
        self.next_offset = 0
        self.ours: frozenset[TopicPartition] = frozenset()
        self.listener: Any = None

    async def start(self) -> None:
        """Consumer and producer alike."""

    async def stop(self) -> None:
        self.log.append("stopped")

    async def topics(self) -> set[str]:
        return {"orders", "dead-letters"}

    def subscribe(self, topics: Collection[str], listener: Any) -> None:
        self.listener = listener

    async def rebalance(self) -> None:
        """Rebalance: revoke the partition, if it is assigned, and assign it."""
        if self.ours:
            await self.listener.on_partitions_revoked(self.ours)
        self.ours = frozenset([ORDERS])
        self.next_offset = self.committed[-1] if self.committed else 0
        await self.listener.on_partitions_assigned(self.ours)

    def assignment(self) -> frozenset[TopicPartition]:
        return self.ours

    async def position(self, _: TopicPartition) -> int:
        return self.next_offset

    async def getmany(self, timeout_ms: int, max_records: int) -> Mapping[TopicPartition, list[ConsumerRecord]]:
        found = list(self.records[self.next_offset : self.next_offset + max_records]) if self.ours else []
        if not found:
            await asyncio.sleep(0.001)
            return {}
        self.next_offset += len(found)
        return {ORDERS: found}

    async def commit(self, offsets: Mapping[TopicPartition, int]) -> None:
        self.in_flight += 1
        assert self.in_flight == 1, "two commits at once"
        try:
            if self.slow is not None:
                await self.slow.wait()
            if self.fails:
                raise self.fails.popleft()
            self.committed.append(offsets[ORDERS])
            self.log.append(f"committed {offsets[ORDERS]}")
        finally:
            self.in_flight -= 1

    async def send_and_wait(self, topic: str, value: bytes, key: bytes, headers: Any) -> RecordMetadata:
        if self.refuses:
            raise self.refuses.popleft()
        self.dead_letters.append((topic, value))
        self.log.append("dead letter")
        return RecordMetadata(topic, 0, TopicPartition(topic, 0), len(self.dead_letters) - 1, 0, 0, 0)


class Runner:
    """A runner without timers."""

    def tick(self, now: datetime, limit: int) -> int:
        return 0


def working(
    group: Group,
    process: Callable[[Sequence[ConsumerRecord]], PoisonRecords],
    scenario: Callable[[asyncio.Event], Coroutine[Any, Any, None]],
    most_dead: int = 100,
    batch: int = 2,
    app: App | None = None,
) -> Progress:
    """Run the loop together with a scenario, and then to its end."""
    progress = Progress()
    sensors = (app or App("test")).sensor_notifier

    async def _main() -> None:
        stopping = asyncio.Event()
        runner: Any = Runner()
        work = WorkerSetup(
            runner,
            process,
            DeadLetterLimit(most_dead, 0),
            {"orders"},
            "dead-letters",
            batch,
            VAULT.seal_bytes,
            lambda: datetime.now(UTC),
        )
        loop = asyncio.create_task(WorkerLoop(group, group, work, progress, sensors, stopping).run())
        acting = asyncio.create_task(scenario(stopping))
        done, _ = await asyncio.wait([loop, acting], timeout=PATIENCE, return_when=asyncio.FIRST_COMPLETED)
        stopping.set()
        acting.cancel()
        await asyncio.wait_for(loop, PATIENCE)
        assert done, "neither the loop nor the scenario ended"
        if acting.done() and not acting.cancelled():
            acting.result()

    asyncio.run(_main())
    return progress


async def joined(group: Group) -> None:
    while group.listener is None:
        await asyncio.sleep(0)
    await group.rebalance()


async def joined_for_good(group: Group) -> None:
    await joined(group)
    await asyncio.Event().wait()


async def until(true: Callable[[], bool]) -> None:
    while not true():
        await asyncio.sleep(0.001)
