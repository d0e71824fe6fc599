"""A broker, its group and its client in one, of a test's own making, and a worker's loop that runs on it."""

import asyncio
from collections import deque
from collections.abc import Callable, Collection, Coroutine, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import UTC, datetime
from typing import Any

from aiokafka import ConsumerRecord, TopicPartition
from aiokafka.structs import RecordMetadata
from sqlalchemy.exc import OperationalError

from pipeline.consumers.cluster.faust_app import App
from pipeline.consumers.cluster.poison import Limit
from pipeline.consumers.cluster.progress import Progress
from pipeline.consumers.cluster.worker_loop import Consuming, Poison, Work

ORDERS = TopicPartition("orders", 0)
AWAY = OperationalError("SELECT 1", None, ConnectionError())


def record(offset: int, value: bytes = b"{}") -> ConsumerRecord:
    return ConsumerRecord("orders", 0, offset, 0, 0, b"SO-1", value, None, 4, len(value), ())


@dataclass
class Group:
    """Broker, group and client in one: a partition whose records are handed out as a real client does."""

    records: Sequence[ConsumerRecord] = ()
    committed: list[int] = field(default_factory=list)
    letters: list[tuple[str, bytes]] = field(default_factory=list)
    told: list[str] = field(default_factory=list)  # what happened, in its order
    fails: deque[Exception] = field(default_factory=deque)  # what the next commits fail with
    refuses: deque[Exception] = field(default_factory=deque)  # what the next letters fail with
    slow: asyncio.Event | None = None  # what a commit waits for
    in_flight: int = 0

    def __post_init__(self) -> None:
        self.place = 0
        self.ours: frozenset[TopicPartition] = frozenset()
        self.listener: Any = None

    async def start(self) -> None:
        """Consumer and producer alike."""

    async def stop(self) -> None:
        self.told.append("stopped")

    async def topics(self) -> set[str]:
        return {"orders", "dead-letters"}

    def subscribe(self, topics: Collection[str], listener: Any) -> None:
        self.listener = listener

    async def share_out(self) -> None:
        """The first time, and whenever somebody comes or goes: all is taken away and given back."""
        if self.ours:
            await self.listener.on_partitions_revoked(self.ours)
        self.ours = frozenset([ORDERS])
        self.place = self.committed[-1] if self.committed else 0
        await self.listener.on_partitions_assigned(self.ours)

    def assignment(self) -> frozenset[TopicPartition]:
        return self.ours

    async def position(self, _: TopicPartition) -> int:
        return self.place

    async def getmany(self, timeout_ms: int, max_records: int) -> Mapping[TopicPartition, list[ConsumerRecord]]:
        found = list(self.records[self.place : self.place + max_records]) if self.ours else []
        if not found:
            await asyncio.sleep(0.001)
            return {}
        self.place += len(found)
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
            self.told.append(f"committed {offsets[ORDERS]}")
        finally:
            self.in_flight -= 1

    async def send_and_wait(self, topic: str, value: bytes, key: bytes, headers: Any) -> RecordMetadata:
        if self.refuses:
            raise self.refuses.popleft()
        self.letters.append((topic, value))
        self.told.append("letter")
        return RecordMetadata(topic, 0, TopicPartition(topic, 0), len(self.letters) - 1, 0, 0, 0)


class Runner:
    """No timers."""

    def tick(self, now: datetime, limit: int) -> int:
        return 0


def working(
    group: Group,
    process: Callable[[Sequence[ConsumerRecord]], Poison],
    scenario: Callable[[asyncio.Event], Coroutine[Any, Any, None]],
    most_dead: int = 100,
    batch: int = 2,
    app: App | None = None,
) -> Progress:
    """Run the loop beside a scenario, and then to its end."""
    progress = Progress()
    sensing = (app or App("test")).sensing

    async def _main() -> None:
        stopping = asyncio.Event()
        runner: Any = Runner()
        work = Work(runner, process, Limit(most_dead, 0), {"orders"}, "dead-letters", batch, lambda: datetime.now(UTC))
        loop = asyncio.create_task(Consuming(group, group, work, progress, sensing, stopping).run())
        acting = asyncio.create_task(scenario(stopping))
        done, _ = await asyncio.wait([loop, acting], timeout=20, return_when=asyncio.FIRST_COMPLETED)
        stopping.set()
        acting.cancel()
        await asyncio.wait_for(loop, 20)
        assert done, "neither came to its end"
        if acting.done() and not acting.cancelled():
            acting.result()

    asyncio.run(_main())
    return progress


async def joined(group: Group) -> None:
    while group.listener is None:
        await asyncio.sleep(0)
    await group.share_out()


async def joined_for_good(group: Group) -> None:
    await joined(group)
    await asyncio.Event().wait()


async def until(true: Callable[[], bool]) -> None:
    while not true():
        await asyncio.sleep(0.001)
