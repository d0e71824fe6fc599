"""Monitors a cluster from outside, several times a second, and measures when it recovers from a fault."""

import math
import threading
import time
from collections.abc import Mapping
from typing import Any, NamedTuple

from kafka import KafkaAdminClient, TopicPartition
from kafka.admin import OffsetSpec
from kafka.errors import KafkaError
from sqlalchemy import Engine, func, select
from sqlalchemy.exc import DBAPIError

from pipeline.consumers.cluster.kafka.topics import EVENTS, EVIDENCE, RECEIVED
from pipeline.store.db.engine import reading
from pipeline.store.schema.asks import asks
from pipeline.store.schema.journal import outbox

_SAMPLE_SECONDS = 0.2
_SOON_SECONDS = 3.0
_WAITING = ("due", "sending")


class Sample(NamedTuple):
    """The state at one time. Partitions are keys of (topic, number)."""

    at: float  # monotonic seconds
    committed: Mapping[tuple[str, int], int]
    ends: Mapping[tuple[str, int], int]
    unpublished: int  # events in the outbox
    relayed: int  # records on the topics that relays write
    sent: int  # questions that the provider accepted
    waiting: int  # questions that are not sent yet

    @property
    def lag(self) -> int:
        """Records that are not processed yet."""
        return sum(end - self.committed.get(partition, 0) for partition, end in self.ends.items())

    @property
    def idle(self) -> bool:
        """Whether no work is left."""
        return not (self.lag or self.unpublished or self.waiting)


class Monitor(threading.Thread):
    """Takes samples until it is stopped. While the broker or the database is unavailable there are none."""

    def __init__(self, engine: Engine, bootstrap: str, prefix: str, group: str, partitions: int) -> None:
        super().__init__(name="monitor", daemon=True)
        self._engine = engine
        self._servers = bootstrap
        self._group = group
        topics = [prefix + topic for topic in (*RECEIVED, EVENTS, EVIDENCE)]
        self._partitions = [TopicPartition(topic, n) for topic in topics for n in range(partitions)]
        self._relayed = {prefix + topic for topic in (EVENTS, EVIDENCE)}
        self._admin: KafkaAdminClient | None = None
        self._stopped = threading.Event()
        self._sampled = threading.Condition()
        self.samples: list[Sample] = []

    def run(self) -> None:
        while not self._stopped.wait(_SAMPLE_SECONDS):
            try:
                sample = self._add_sample()
            except (KafkaError, DBAPIError, OSError, RuntimeError):
                self._close()
                continue
            with self._sampled:
                self.samples.append(sample)
                self._sampled.notify_all()
        self._close()

    def stop(self) -> None:
        """Take no more samples."""
        self._stopped.set()
        self.join()

    def next_sample(self, seconds: float) -> Sample:
        """Wait for the next sample. Raises TimeoutError."""
        with self._sampled:
            known = len(self.samples)
            if not self._sampled.wait_for(lambda: len(self.samples) > known, seconds):
                raise TimeoutError(f"the broker or the database did not respond for {seconds:.0f} seconds")
            return self.samples[-1]

    def since(self, moment: float) -> list[Sample]:
        """The samples after a moment."""
        return [sample for sample in self.samples if sample.at > moment]

    def _add_sample(self) -> Sample:
        admin = self._admin = self._admin or KafkaAdminClient(
            bootstrap_servers=self._servers, bootstrap_timeout_ms=2_000, request_timeout_ms=5_000
        )
        offsets: Any = admin.list_group_offsets({self._group: self._partitions})  # type: ignore[no-untyped-call]
        found = admin.list_partition_offsets(dict.fromkeys(self._partitions, OffsetSpec.LATEST))
        committed = {(tp.topic, tp.partition): max(0, offset.offset) for tp, offset in offsets[self._group].items()}
        ends = {(tp.topic, tp.partition): offset.offset for tp, offset in found.items()}
        with reading(self._engine) as connection:
            unpublished = connection.execute(select(func.count()).select_from(outbox)).scalar_one()
            counted = connection.execute(select(asks.c.state, func.count()).group_by(asks.c.state))
            states: dict[str, int] = {str(state): n for state, n in counted}
        relayed = sum(end for (topic, _), end in ends.items() if topic in self._relayed)
        waiting = sum(states.get(state, 0) for state in _WAITING)
        sent = states.get("sent", 0)
        return Sample(time.monotonic(), committed, ends, unpublished, relayed, sent, waiting)

    def _close(self) -> None:
        admin, self._admin = self._admin, None
        if admin is not None:
            admin.close()


def progress_of_workers(samples: list[Sample], moment: float) -> float | None:
    """Seconds until the slowest partition progressed, of those that lagged soon after the moment; None: not yet."""
    soon = moment + _SOON_SECONDS
    return _slowest(samples, soon) if samples and samples[-1].at > soon else None


def longest_stall(samples: list[Sample], moment: float) -> float | None:
    """Seconds of the longest stall of any partition since the moment; None: one is still stalled."""
    return _slowest(samples, math.inf) if samples else None


def _slowest(samples: list[Sample], until: float) -> float | None:
    """The longest stall, counted for each partition from the first sample in which it lagged."""
    waiting: dict[tuple[str, int], tuple[float, int]] = {}  # since when, at which offset
    slowest = 0.0
    for sample in samples:
        for partition, end in sample.ends.items():
            offset = sample.committed.get(partition, 0)
            since, start_offset = waiting.get(partition, (sample.at, offset))
            if offset > start_offset:
                slowest = max(slowest, sample.at - since)
                del waiting[partition]
            elif end > offset and (partition in waiting or sample.at < until):
                waiting[partition] = (since, start_offset)
    return None if waiting else slowest


def first_effect(samples: list[Sample], moment: float) -> float | None:
    """Seconds until any record was processed; None: not yet."""
    done = [sum(sample.committed.values()) for sample in samples]
    return next((sample.at - moment for sample, n in zip(samples, done, strict=True) if n > done[0]), None)


def progress_of_relays(samples: list[Sample], moment: float) -> float | None:
    """Seconds until any event was published; None: not yet."""
    return next((sample.at - moment for sample in samples if sample.relayed > samples[0].relayed), None)


def progress_of_dispatchers(samples: list[Sample], moment: float) -> float | None:
    """Seconds until a question was sent, or none was waiting; None: not yet."""
    return next((sample.at - moment for sample in samples if sample.sent > samples[0].sent or not sample.waiting), None)
