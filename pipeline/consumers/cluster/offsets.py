"""Commits a worker's offsets to the broker while it processes the next batch, one commit at a time, in order."""

import asyncio
import logging
from collections.abc import Mapping

from aiokafka import AIOKafkaConsumer, TopicPartition
from aiokafka.errors import CommitFailedError, IllegalStateError, KafkaError

from pipeline.consumers.cluster.sensors import SensorNotifier

_RETRY_SECONDS = 1.0  # after a commit that failed
_log = logging.getLogger(__name__)


class Offsets:
    """The offsets of one assignment. If a commit is lost, records are read again, which has no second effect."""

    def __init__(self, consumer: AIOKafkaConsumer, sensors: SensorNotifier) -> None:
        self._consumer = consumer
        self._sensors = sensors
        self._newest: dict[TopicPartition, int] = {}
        self._uncommitted: dict[TopicPartition, int] = {}
        self._task: asyncio.Task[None] | None = None
        self._closed = False

    def commit_soon(self, offsets: Mapping[TopicPartition, int]) -> None:
        """Commit these soon: everything before them is processed."""
        if self._closed:
            return
        self._uncommitted.update({tp: offset for tp, offset in offsets.items() if self._newest.get(tp) != offset})
        self._newest.update(offsets)
        if self._uncommitted and (self._task is None or self._task.done()):
            self._task = asyncio.create_task(self._commit())

    async def wait_committed(self, seconds: float) -> None:
        """Wait until all are committed, no longer than `seconds`: the group waits for these partitions."""
        if self._task is not None:
            await asyncio.wait([self._task], timeout=seconds)

    def close(self) -> None:
        """Commit nothing more: other workers have the partitions and read again what was not committed."""
        self._closed = True
        self._uncommitted.clear()
        if self._task is not None:
            self._task.cancel()

    async def _commit(self) -> None:
        while self._uncommitted:
            offsets, self._uncommitted = self._uncommitted, {}
            try:
                with self._sensors.committing(self._consumer):
                    await self._consumer.commit(offsets)
            except (CommitFailedError, IllegalStateError):
                _log.info(
                    "the partitions have been assigned to other workers; records read again have no second effect"
                )
            except KafkaError as error:
                _log.warning("cannot commit offsets (%s), to be retried", type(error).__name__)
                self._uncommitted = offsets | self._uncommitted
                await asyncio.sleep(_RETRY_SECONDS)
