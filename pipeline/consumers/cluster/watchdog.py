"""Looks at a worker from outside its loop, and ends a process that has work and does none, so that another one starts.

It asks the broker itself, with another client, how far the group is and how far it could be. What it counts is looks,
not time: a process that stood still as a whole, as on a machine that slept, gets its chance to go on.
"""

import logging
import os
from collections import Counter
from collections.abc import Callable, Mapping, Sequence
from typing import Any

from kafka import KafkaAdminClient, TopicPartition
from kafka.admin import OffsetSpec
from kafka.errors import KafkaError
from kafka.protocol.consumer import IsolationLevel

from pipeline import metrics
from pipeline.consumers.cluster.progress import Progress
from pipeline.consumers.runtime.background import Background

LOOK_SECONDS = 2.0
EXIT_CODE = 70  # EX_SOFTWARE
_log = logging.getLogger(__name__)


class Watchdog(Background):
    """Measures the lag of this process's partitions, and ends the process after `seconds` of lag without progress."""

    def __init__(
        self,
        progress: Progress,
        lag: Callable[[], Mapping[str, int]],
        seconds: float,
        end: Callable[[int], object] = os._exit,
    ) -> None:
        super().__init__("watchdog")
        self._progress = progress
        self._lag = lag
        self._most = max(2, round(seconds / LOOK_SECONDS))
        self._end_process = end
        self._still = 0  # looks, one after the other, at lag and no progress
        self._beats = -1

    def troubles(self) -> Sequence[str]:
        """Whether it watches: a worker that nobody watches is to be looked at."""
        return [] if self.alive else ["the watchdog has ended"]

    def look(self) -> None:
        """Compare with the last look."""
        beats, waiting = self._progress.beats, sum(self._measured().values())
        self._still = self._still + 1 if waiting and beats == self._beats else 0
        self._beats = beats
        metrics.STALLED.set(self._still >= self._most // 2)
        if self._still < self._most // 2:
            self._progress.stalled = None
            return
        self._progress.stalled = f"{waiting} records wait, and none was processed for {self._still} looks"
        if self._still >= self._most:
            _log.critical("the worker ends, so that another one starts: %s", self._progress.stalled)
            logging.shutdown()
            self._end_process(EXIT_CODE)

    def _work(self) -> None:
        while self._pause(LOOK_SECONDS):
            self.look()

    def _measured(self) -> Mapping[str, int]:
        try:
            found = self._lag()
        except KafkaError as error:  # the loop will say so, too
            _log.warning("the lag cannot be measured (%s)", type(error).__name__)
            return {}
        for topic, n in found.items():
            metrics.LAG.labels(topic).set(n)
        return found


class Lag:
    """The records of this process's partitions that are not committed as processed, by topic."""

    def __init__(self, opened: Callable[[], KafkaAdminClient], group: str, progress: Progress, prefix: str) -> None:
        self._opened = opened
        self._group = group
        self._progress = progress
        self._prefix = prefix
        self._client: KafkaAdminClient | None = None
        self._topics: set[str] = set()  # that were told once: those that are no longer ours lag by nothing

    def __call__(self) -> Mapping[str, int]:
        """Ask the broker. Raises KafkaError."""
        partitions = [TopicPartition(*partition) for partition in self._progress.partitions]
        lag = Counter(dict.fromkeys(self._topics, 0))
        if partitions:
            try:
                self._client = self._client or self._opened()
                lag.update(self._measure(self._client, partitions))
            except KafkaError:
                self.close()
                raise
        self._topics |= set(lag)
        return lag

    def close(self) -> None:
        """Let go of the connection."""
        client, self._client = self._client, None
        if client is not None:
            client.close()

    def _measure(self, client: KafkaAdminClient, partitions: list[TopicPartition]) -> Counter[str]:
        told: Any = client.list_group_offsets({self._group: partitions})  # type: ignore[no-untyped-call]
        committed = told[self._group]
        asked = dict.fromkeys(partitions, OffsetSpec.LATEST)
        ends = client.list_partition_offsets(asked, isolation_level=IsolationLevel.READ_COMMITTED)
        lag = Counter[str]()
        for partition, end in ends.items():
            place = committed[partition].offset if partition in committed else 0
            lag[partition.topic.removeprefix(self._prefix)] += max(0, end.offset - max(place, 0))
        return lag
