"""A worker's loop: fetch, decode, one transaction, and only then the offsets, committed beside the next batch.

State lives in the database, and whatever comes twice has its effect once. So nothing here needs the broker to be exact:
a batch is done, or it is handed back untouched to whoever has its partitions next.
"""

import asyncio
import logging
import time
from collections.abc import Awaitable, Callable, Collection, Sequence
from contextlib import suppress
from dataclasses import dataclass
from datetime import datetime
from functools import partial

from aiokafka import AIOKafkaConsumer, AIOKafkaProducer, ConsumerRebalanceListener, ConsumerRecord, TopicPartition
from aiokafka.errors import KafkaError, UnknownTopicOrPartitionError

from pipeline import metrics
from pipeline.consumers.cluster.offsets import Offsets
from pipeline.consumers.cluster.poison import Letters, Limit
from pipeline.consumers.cluster.progress import Progress
from pipeline.consumers.cluster.runner import ClusterRunner
from pipeline.consumers.cluster.sensors import Batch, Sensing
from pipeline.consumers.runtime.embedded import passes
from pipeline.domain.events.contract import BadEvent

FETCH_MS = 1_000  # milliseconds a fetch waits for the first record
TICK_SECONDS = 1.0  # how late a timer may be
TICK_TIMERS = 500  # timers a transaction
TIDY_SECONDS = 5.0  # between two looks at offsets that no record stands for
LONGEST_SECONDS = 5.0  # between two tries of a batch
HAND_OVER_SECONDS = 10.0  # that the others of the group wait for our batch and its offsets
_log = logging.getLogger(__name__)

Poison = list[tuple[ConsumerRecord, BadEvent]]


@dataclass(frozen=True)
class Work:
    """What the loop works with. `topics` and `dead_letters` carry the installation's prefix."""

    runner: ClusterRunner
    process: Callable[[Sequence[ConsumerRecord]], Poison]
    limit: Limit
    topics: Collection[str]
    dead_letters: str
    batch: int  # records at most
    now: Callable[[], datetime]


class _Turn:
    """The time from one sharing out of the partitions to the next. What is done in it is committed in it, or never."""

    def __init__(self, consumer: AIOKafkaConsumer, sensing: Sensing) -> None:
        self.over = asyncio.Event()  # nothing is tried again: others will
        self.offsets = Offsets(consumer, sensing)


class Consuming(ConsumerRebalanceListener):  # type: ignore[misc]  # aiokafka has no types
    """One consumer of every topic, in one event loop, with one thread at the database."""

    def __init__(
        self,
        consumer: AIOKafkaConsumer,
        producer: AIOKafkaProducer,
        work: Work,
        progress: Progress,
        sensing: Sensing,
        stopping: asyncio.Event,
    ) -> None:
        self._consumer = consumer
        self._producer = producer
        self._letters = Letters(producer, work.dead_letters, sensing)
        self._work = work
        self._progress = progress
        self._sensing = sensing
        self._busy = asyncio.Lock()  # a batch is on its way
        self._stopping = stopping
        self._turn = _Turn(consumer, sensing)

    async def run(self) -> None:
        """Work until it is time to stop: then finish the batch, or hand it back if it cannot be finished now.

        Raises TooMany, or whatever is a bug.
        """
        end = asyncio.create_task(self._end())
        try:
            for step in (self._producer.start, self._consumer.start, self._find_topics):
                if not await self._until_done(step):
                    return
            self._consumer.subscribe(sorted(self._work.topics), listener=self)
            await self._go_round()
        finally:
            end.cancel()
            await self._turn.offsets.settle(HAND_OVER_SECONDS)
            for client in (self._consumer, self._producer):
                with suppress(KafkaError):
                    await client.stop()

    async def _end(self) -> None:
        await self._stopping.wait()
        self._turn.over.set()

    async def on_partitions_revoked(self, revoked: Collection[TopicPartition]) -> None:
        """The group shares its partitions out anew: finish the batch or give it up, and say how far we are."""
        self._sensing.rebalance_begins()
        self._turn.over.set()
        with suppress(TimeoutError):
            async with asyncio.timeout(HAND_OVER_SECONDS), self._busy:
                await self._turn.offsets.settle(HAND_OVER_SECONDS)
        self._turn.offsets.close()
        self._progress.assign(())

    async def on_partitions_assigned(self, assigned: Collection[TopicPartition]) -> None:
        """From now on these are ours."""
        self._turn = _Turn(self._consumer, self._sensing)
        if self._stopping.is_set():
            self._turn.over.set()
        self._progress.assign(assigned)
        self._sensing.rebalance_ended()
        _log.info("%d partitions are ours", len(assigned))

    async def _find_topics(self) -> None:
        """Whoever subscribes to a topic that does not exist would wait for it without a word."""
        missing = {*self._work.topics, self._work.dead_letters} - await self._consumer.topics()
        if missing:
            _log.error("topics are missing, `unvarnished topics create` makes them: %s", ", ".join(sorted(missing)))
            raise UnknownTopicOrPartitionError

    async def _go_round(self) -> None:
        stopping = asyncio.create_task(self._stopping.wait())
        fetch: asyncio.Task[Batch] | None = None
        tick_at = tidy_at = 0.0
        while not self._stopping.is_set():
            fetch = fetch or asyncio.create_task(
                self._consumer.getmany(timeout_ms=FETCH_MS, max_records=self._work.batch)
            )
            # While the group shares out its partitions a fetch waits without end; the clock has to go on.
            rest = max(0.0, tick_at - time.monotonic())
            await asyncio.wait([fetch, stopping], timeout=rest, return_when=asyncio.FIRST_COMPLETED)
            if fetch.done() and not self._stopping.is_set():
                fetched, fetch = await self._fetched(fetch), None
                if fetched:
                    await self._take(fetched)
                elif time.monotonic() >= tidy_at:
                    await self._tidy()
                    tidy_at = time.monotonic() + TIDY_SECONDS
            if time.monotonic() >= tick_at and not self._stopping.is_set():
                await self._until_done(self._tick)
                tick_at = time.monotonic() + TICK_SECONDS
        if fetch is not None:
            fetch.cancel()

    async def _fetched(self, fetch: asyncio.Task[Batch]) -> Batch:
        try:
            return await fetch
        except KafkaError as error:
            if not error.retriable:
                raise
            self._note(error)
            return {}

    async def _take(self, fetched: Batch) -> None:
        """Everything that happens to some records, up to the note that it has."""
        async with self._busy:
            turn = self._turn
            ours = {tp: records for tp, records in fetched.items() if tp in self._consumer.assignment()}
            records = [record for several in ours.values() for record in several]
            messages = self._sensing.came_in(ours)
            poison: Poison = []
            if not await self._until_done(partial(self._process, records, poison)):
                return
            self._work.limit.note(len(records), len(poison))
            for record, bad in poison:
                if not await self._until_done(partial(self._letters.publish, record, bad)):
                    return
            turn.offsets.note({tp: several[-1].offset + 1 for tp, several in ours.items()})
            metrics.BATCH_RECORDS.observe(len(records))
            self._sensing.went_out(ours, messages)

    async def _process(self, records: Sequence[ConsumerRecord], poison: Poison) -> None:
        """Have records processed, and collect the poison among them. Done again it changes nothing."""
        poison[:] = await asyncio.to_thread(self._work.process, records)

    async def _tick(self) -> None:
        await asyncio.to_thread(self._work.runner.tick, self._work.now(), TICK_TIMERS)

    async def _tidy(self) -> None:
        """Commit the offsets that passed without a record, as the ends of transactions do: they are no lag."""
        turn = self._turn
        with suppress(TimeoutError):
            async with asyncio.timeout(TICK_SECONDS):
                for partition in self._consumer.assignment():
                    place = await self._consumer.position(partition)
                    if turn.over.is_set():  # what was handed back lies before that place
                        return
                    turn.offsets.note({partition: place})

    async def _until_done(self, do: Callable[[], Awaitable[object]]) -> bool:
        """Do something, again and again while what hinders it passes. False: its turn was over first, it is undone.

        The group hears of us meanwhile: its heartbeats are another task's.
        """
        turn, wait = self._turn, 0.1
        while True:
            try:
                await do()
            except Exception as error:
                if not (passes(error) or (isinstance(error, KafkaError) and error.retriable)):
                    raise
                self._note(error)
                metrics.RETRIES.inc()
            else:
                self._progress.trouble = None
                self._progress.beat()
                return True
            with suppress(TimeoutError):
                async with asyncio.timeout(wait):
                    await turn.over.wait()
                    return False
            wait = min(2 * wait, LONGEST_SECONDS)

    def _note(self, error: Exception) -> None:
        what = "the broker" if isinstance(error, KafkaError) else "the database"
        self._progress.trouble = f"{what} does not do its part ({type(error).__name__})"
        self._progress.beat()
        _log.warning("%s, to be tried again", self._progress.trouble)
