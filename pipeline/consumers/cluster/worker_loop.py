"""A worker's loop: fetch, decode, one transaction, and only then the offsets, committed during the next batch.

State lives in the database, and an event processed twice has its effect once. So the loop needs no exactly-once
guarantee of the broker: it completes a batch, or leaves it unprocessed to the worker that gets its partitions next.
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
from pipeline.consumers.cluster.dead_letters import DeadLetterLimit, DeadLetterTopic
from pipeline.consumers.cluster.offsets import Offsets
from pipeline.consumers.cluster.progress import Progress
from pipeline.consumers.cluster.runner import ClusterRunner
from pipeline.consumers.cluster.sensors import Batch, SensorNotifier
from pipeline.consumers.runtime.retries import is_transient
from pipeline.domain.events.contract import BadEvent
from pipeline.errors import ClockSuspect

FETCH_MS = 1_000  # milliseconds a fetch waits for the first record
TICK_SECONDS = 1.0  # how late a timer may fire
TICK_TIMERS = 500  # timers a transaction
SKIP_SECONDS = 5.0  # between two checks for offsets that have no record
MAX_RETRY_SECONDS = 5.0  # between two attempts at a batch
HANDOVER_SECONDS = 10.0  # the rest of the group waits this long for our batch and its offsets
_log = logging.getLogger(__name__)

PoisonRecords = list[tuple[ConsumerRecord, BadEvent]]


@dataclass(frozen=True)
class WorkerSetup:
    """What the loop works with. `topics` and `dead_letters` carry the installation's prefix."""

    runner: ClusterRunner
    process: Callable[[Sequence[ConsumerRecord]], PoisonRecords]
    limit: DeadLetterLimit
    topics: Collection[str]
    dead_letters: str
    batch_size: int  # records a transaction, at most
    seal: Callable[[bytes], bytes]  # what is published of a dead letter
    now: Callable[[], datetime]


class _Assignment:
    """The time from one rebalance to the next. What is processed in it is committed in it, or never."""

    def __init__(self, consumer: AIOKafkaConsumer, sensors: SensorNotifier) -> None:
        self.over = asyncio.Event()  # no more retries: other workers have the partitions
        self.offsets = Offsets(consumer, sensors)


class WorkerLoop(ConsumerRebalanceListener):  # type: ignore[misc]  # aiokafka has no types
    """One consumer of all topics, in one event loop, with one thread that uses the database."""

    def __init__(
        self,
        consumer: AIOKafkaConsumer,
        producer: AIOKafkaProducer,
        setup: WorkerSetup,
        progress: Progress,
        sensors: SensorNotifier,
        stopping: asyncio.Event,
    ) -> None:
        self._consumer = consumer
        self._producer = producer
        self._dead_letters = DeadLetterTopic(producer, setup.dead_letters, sensors, setup.seal)
        self._setup = setup
        self._progress = progress
        self._sensors = sensors
        self._busy = asyncio.Lock()  # held while a batch is processed
        self._stopping = stopping
        self._assignment = _Assignment(consumer, sensors)

    async def run(self) -> None:
        """Run until `stopping` is set: then complete the batch, or leave it unprocessed if that fails now.

        Raises DeadLetterLimitExceeded, and any bug.
        """
        end = asyncio.create_task(self._end_assignment_when_stopping())
        try:
            for step in (self._producer.start, self._consumer.start, self._check_topics):
                if not await self._until_done(step):
                    return
            self._consumer.subscribe(sorted(self._setup.topics), listener=self)
            await self._loop()
        finally:
            end.cancel()
            await self._assignment.offsets.wait_committed(HANDOVER_SECONDS)
            for client in (self._consumer, self._producer):
                with suppress(KafkaError):
                    await client.stop()

    async def _end_assignment_when_stopping(self) -> None:
        await self._stopping.wait()
        self._assignment.over.set()

    async def on_partitions_revoked(self, revoked: Collection[TopicPartition]) -> None:
        """Called when a rebalance begins: complete the batch or give it up, and commit the offsets."""
        self._sensors.rebalance_started()
        self._assignment.over.set()
        with suppress(TimeoutError):
            async with asyncio.timeout(HANDOVER_SECONDS), self._busy:
                await self._assignment.offsets.wait_committed(HANDOVER_SECONDS)
        self._assignment.offsets.close()
        self._progress.assign(())

    async def on_partitions_assigned(self, assigned: Collection[TopicPartition]) -> None:
        """Called when a rebalance has ended, with the partitions to process from now on."""
        self._assignment = _Assignment(self._consumer, self._sensors)
        if self._stopping.is_set():
            self._assignment.over.set()
        self._progress.assign(assigned)
        self._sensors.rebalance_ended()
        _log.info("%d partitions assigned", len(assigned))

    async def _check_topics(self) -> None:
        """Report missing topics: a consumer that subscribes to one would wait for it silently."""
        missing = {*self._setup.topics, self._setup.dead_letters} - await self._consumer.topics()
        if missing:
            _log.error("topics are missing, create them by `unvarnished topics create`: %s", ", ".join(sorted(missing)))
            raise UnknownTopicOrPartitionError

    async def _loop(self) -> None:
        stopping = asyncio.create_task(self._stopping.wait())
        fetch: asyncio.Task[Batch] | None = None
        tick_at = skip_at = 0.0
        while not self._stopping.is_set():
            fetch = fetch or asyncio.create_task(
                self._consumer.getmany(timeout_ms=FETCH_MS, max_records=self._setup.batch_size)
            )
            # During a rebalance a fetch waits without limit, but timers have to fire.
            rest = max(0.0, tick_at - time.monotonic())
            await asyncio.wait([fetch, stopping], timeout=rest, return_when=asyncio.FIRST_COMPLETED)
            if fetch.done() and not self._stopping.is_set():
                fetched, fetch = await self._fetched(fetch), None
                if fetched:
                    await self._process(fetched)
                elif time.monotonic() >= skip_at:
                    await self._commit_skipped()
                    skip_at = time.monotonic() + SKIP_SECONDS
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
            self._note_problem(error)
            return {}

    async def _process(self, fetched: Batch) -> None:
        """Process a batch, publish its dead letters and commit its offsets, in this order."""
        async with self._busy:
            assignment = self._assignment
            ours = {tp: records for tp, records in fetched.items() if tp in self._consumer.assignment()}
            records = [record for several in ours.values() for record in several]
            messages = self._sensors.records_received(ours)
            poison: PoisonRecords = []
            if not await self._until_done(partial(self._process_in_thread, records, poison)):
                return
            self._setup.limit.record(len(records), len(poison))
            for record, bad in poison:
                if not await self._until_done(partial(self._dead_letters.publish, record, bad)):
                    return
            assignment.offsets.commit_soon({tp: several[-1].offset + 1 for tp, several in ours.items()})
            metrics.BATCH_RECORDS.observe(len(records))
            self._sensors.records_processed(ours, messages)

    async def _process_in_thread(self, records: Sequence[ConsumerRecord], poison: PoisonRecords) -> None:
        """Process records and return the poison among them in `poison`. Processed again they change nothing."""
        poison[:] = await asyncio.to_thread(self._setup.process, records)

    async def _tick(self) -> None:
        await asyncio.to_thread(self._setup.runner.tick, self._setup.now(), TICK_TIMERS)

    async def _commit_skipped(self) -> None:
        """Commit offsets that have no record, such as those of a transaction's end, so that they count as no lag."""
        assignment = self._assignment
        with suppress(TimeoutError):
            async with asyncio.timeout(TICK_SECONDS):
                for partition in self._consumer.assignment():
                    position = await self._consumer.position(partition)
                    if assignment.over.is_set():  # a batch left unprocessed is before that position
                        return
                    assignment.offsets.commit_soon({partition: position})

    async def _until_done(self, do: Callable[[], Awaitable[object]]) -> bool:
        """Do something, with retries after transient failures. False: the assignment ended first, it is not done.

        Heartbeats go on meanwhile, in a task of their own.
        """
        assignment, wait = self._assignment, 0.1
        while True:
            try:
                await do()
            except Exception as error:
                if not (is_transient(error) or (isinstance(error, KafkaError) and error.retriable)):
                    raise
                self._note_problem(error)
                metrics.RETRIES.inc()
            else:
                self._progress.problem = None
                self._progress.record_activity()
                return True
            with suppress(TimeoutError):
                async with asyncio.timeout(wait):
                    await assignment.over.wait()
                    return False
            wait = min(2 * wait, MAX_RETRY_SECONDS)

    def _note_problem(self, error: Exception) -> None:
        what = "the broker" if isinstance(error, KafkaError) else "the database"
        is_clock = isinstance(error, ClockSuspect)
        self._progress.problem = str(error) if is_clock else f"{what} is unavailable ({type(error).__name__})"
        self._progress.record_activity()
        _log.warning("%s, to be retried", self._progress.problem)
