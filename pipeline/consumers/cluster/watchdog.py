"""Ends a worker process whose loop makes no progress despite lag, so that it is restarted.

It asks the broker itself, through a client of its own, for the committed and the newest offsets. It counts checks, not
time: a process that was suspended as a whole, as on a machine that slept, gets the chance to go on.
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

CHECK_SECONDS = 2.0
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
        self._max_checks = max(2, round(seconds / CHECK_SECONDS))
        self._exit = end
        self._stalled_checks = 0  # consecutive checks with lag and without progress
        self._activity_count = -1

    def problems(self) -> Sequence[str]:
        """Its own failure, in a sentence: a worker without its watchdog counts as not ready."""
        return [] if self.alive else ["the watchdog has ended"]

    def check(self) -> None:
        """Compare lag and progress with the last check."""
        activity_count, waiting = self._progress.activity_count, sum(self._measured().values())
        self._stalled_checks = self._stalled_checks + 1 if waiting and activity_count == self._activity_count else 0
        self._activity_count = activity_count
        metrics.STALLED.set(self._stalled_checks >= self._max_checks // 2)
        if self._stalled_checks < self._max_checks // 2:
            self._progress.stalled = None
            return
        self._progress.stalled = f"{waiting} records wait, and none was processed for {self._stalled_checks} checks"
        if self._stalled_checks >= self._max_checks:
            _log.critical("the worker exits, to be restarted: %s", self._progress.stalled)
            logging.shutdown()
            self._exit(EXIT_CODE)

    def _work(self) -> None:
        while self._pause(CHECK_SECONDS):
            self.check()

    def _measured(self) -> Mapping[str, int]:
        try:
            found = self._lag()
        except KafkaError as error:  # the loop reports it as well
            _log.warning("cannot measure the lag (%s)", type(error).__name__)
            return {}
        for topic, n in found.items():
            metrics.LAG.labels(topic).set(n)
        return found


class Lag:
    """Measures the lag: the records of this process's partitions whose offsets are not committed, by topic."""

    def __init__(
        self, open_client: Callable[[], KafkaAdminClient], group: str, progress: Progress, prefix: str
    ) -> None:
        self._open_client = open_client
        self._group = group
        self._progress = progress
        self._prefix = prefix
        self._client: KafkaAdminClient | None = None
        self._topics: set[str] = set()  # measured before: one that is no longer ours has a lag of 0

    def __call__(self) -> Mapping[str, int]:
        """Returns the lag by topic, in records. Raises KafkaError."""
        partitions = [TopicPartition(*partition) for partition in self._progress.partitions]
        lag = Counter(dict.fromkeys(self._topics, 0))
        if partitions:
            try:
                self._client = self._client or self._open_client()
                lag.update(self._measure(self._client, partitions))
            except KafkaError:
                self.close()
                raise
        self._topics |= set(lag)
        return lag

    def close(self) -> None:
        """Close the connection."""
        client, self._client = self._client, None
        if client is not None:
            client.close()

    def _measure(self, client: KafkaAdminClient, partitions: list[TopicPartition]) -> Counter[str]:
        found: Any = client.list_group_offsets({self._group: partitions})  # type: ignore[no-untyped-call]
        committed = found[self._group]
        newest = dict.fromkeys(partitions, OffsetSpec.LATEST)
        ends = client.list_partition_offsets(newest, isolation_level=IsolationLevel.READ_COMMITTED)
        lag = Counter[str]()
        for partition, end in ends.items():
            offset = committed[partition].offset if partition in committed else 0
            lag[partition.topic.removeprefix(self._prefix)] += max(0, end.offset - max(offset, 0))
        return lag
