"""Tells the broker how far a worker is, beside the work: one commit at a time, so that none is overtaken."""

import asyncio
import logging
from collections.abc import Mapping

from aiokafka import AIOKafkaConsumer, TopicPartition
from aiokafka.errors import CommitFailedError, IllegalStateError, KafkaError

from pipeline.consumers.cluster.sensors import Sensing

_AGAIN_SECONDS = 1.0  # after a commit that failed by trouble that passes
_log = logging.getLogger(__name__)


class Offsets:
    """Commits what is noted, soon. A commit that is lost costs a second look at records, never an effect."""

    def __init__(self, consumer: AIOKafkaConsumer, sensing: Sensing) -> None:
        self._consumer = consumer
        self._sensing = sensing
        self._known: dict[TopicPartition, int] = {}  # what was noted last
        self._noted: dict[TopicPartition, int] = {}  # what is to be committed
        self._task: asyncio.Task[None] | None = None
        self._closed = False

    def note(self, offsets: Mapping[TopicPartition, int]) -> None:
        """Everything before these offsets has had its effect."""
        if self._closed:
            return
        self._noted.update({tp: place for tp, place in offsets.items() if self._known.get(tp) != place})
        self._known.update(offsets)
        if self._noted and (self._task is None or self._task.done()):
            self._task = asyncio.create_task(self._commit())

    async def settle(self, seconds: float) -> None:
        """Wait until what was noted is committed, but not for long: others wait for these partitions."""
        if self._task is not None:
            await asyncio.wait([self._task], timeout=seconds)

    def close(self) -> None:
        """The partitions go to others: what was not committed is theirs to do again, and has no effect twice."""
        self._closed = True
        self._noted.clear()
        if self._task is not None:
            self._task.cancel()

    async def _commit(self) -> None:
        while self._noted:
            offsets, self._noted = self._noted, {}
            try:
                with self._sensing.committing(self._consumer):
                    await self._consumer.commit(offsets)
            except (CommitFailedError, IllegalStateError):
                _log.info("others have these partitions now; what they do again has no effect twice")
            except KafkaError as error:
                _log.warning("offsets could not be committed (%s), to be tried again", type(error).__name__)
                self._noted = offsets | self._noted
                await asyncio.sleep(_AGAIN_SECONDS)
