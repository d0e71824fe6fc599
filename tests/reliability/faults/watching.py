"""Sees from outside how far a cluster is, several times a second, and when it goes on after something broke."""

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
from pipeline.store.schema.tables import asks, outbox

_LOOK_SECONDS = 0.2
_SOON_SECONDS = 3.0
_WAITING = ("due", "sending")


class Seen(NamedTuple):
    """One look. Partitions by (topic, number)."""

    at: float  # monotonic seconds
    committed: Mapping[tuple[str, int], int]
    ends: Mapping[tuple[str, int], int]
    untold: int  # events in the outbox
    relayed: int  # records on the topics that a relay writes
    sent: int  # questions the provider has taken
    waiting: int  # questions nobody has sent

    @property
    def lag(self) -> int:
        """Records that have had no effect yet."""
        return sum(end - self.committed.get(partition, 0) for partition, end in self.ends.items())

    @property
    def idle(self) -> bool:
        """Whether there is nothing left to do."""
        return not (self.lag or self.untold or self.waiting)


class Watch(threading.Thread):
    """Looks until it is stopped. A look that fails, as while something is away, is none."""

    def __init__(self, engine: Engine, bootstrap: str, prefix: str, group: str, partitions: int) -> None:
        super().__init__(name="watch", daemon=True)
        self._engine = engine
        self._servers = bootstrap
        self._group = group
        topics = [prefix + topic for topic in (*RECEIVED, EVENTS, EVIDENCE)]
        self._partitions = [TopicPartition(topic, n) for topic in topics for n in range(partitions)]
        self._relayed = {prefix + topic for topic in (EVENTS, EVIDENCE)}
        self._admin: KafkaAdminClient | None = None
        self._stopped = threading.Event()
        self._looked = threading.Condition()
        self.looks: list[Seen] = []

    def run(self) -> None:
        while not self._stopped.wait(_LOOK_SECONDS):
            try:
                seen = self._look()
            except (KafkaError, DBAPIError, OSError, RuntimeError):
                self._close()
                continue
            with self._looked:
                self.looks.append(seen)
                self._looked.notify_all()
        self._close()

    def stop(self) -> None:
        """Look no more."""
        self._stopped.set()
        self.join()

    def next_look(self, seconds: float) -> Seen:
        """The next look there is. Raises TimeoutError."""
        with self._looked:
            known = len(self.looks)
            if not self._looked.wait_for(lambda: len(self.looks) > known, seconds):
                raise TimeoutError(f"neither broker nor database can be looked at for {seconds:.0f} seconds")
            return self.looks[-1]

    def since(self, moment: float) -> list[Seen]:
        """The looks after a moment."""
        return [seen for seen in self.looks if seen.at > moment]

    def _look(self) -> Seen:
        admin = self._admin = self._admin or KafkaAdminClient(
            bootstrap_servers=self._servers, bootstrap_timeout_ms=2_000, request_timeout_ms=5_000
        )
        told: Any = admin.list_group_offsets({self._group: self._partitions})  # type: ignore[no-untyped-call]
        found = admin.list_partition_offsets(dict.fromkeys(self._partitions, OffsetSpec.LATEST))
        committed = {(tp.topic, tp.partition): max(0, place.offset) for tp, place in told[self._group].items()}
        ends = {(tp.topic, tp.partition): place.offset for tp, place in found.items()}
        with reading(self._engine) as connection:
            untold = connection.execute(select(func.count()).select_from(outbox)).scalar_one()
            counted = connection.execute(select(asks.c.state, func.count()).group_by(asks.c.state))
            states: dict[str, int] = {str(state): n for state, n in counted}
        relayed = sum(end for (topic, _), end in ends.items() if topic in self._relayed)
        waiting = sum(states.get(state, 0) for state in _WAITING)
        sent = states.get("sent", 0)
        return Seen(time.monotonic(), committed, ends, untold, relayed, sent, waiting)

    def _close(self) -> None:
        admin, self._admin = self._admin, None
        if admin is not None:
            admin.close()


def progress_of_workers(looks: list[Seen], moment: float) -> float | None:
    """Seconds that the slowest partition took to go on, of those that lagged soon after the moment; None: not yet."""
    soon = moment + _SOON_SECONDS
    return _slowest(looks, soon) if looks and looks[-1].at > soon else None


def longest_standstill(looks: list[Seen], moment: float) -> float | None:
    """The same of all that lagged at any time since the moment; None: some still do."""
    return _slowest(looks, math.inf) if looks else None


def _slowest(looks: list[Seen], until: float) -> float | None:
    """Each counts from when records were first seen to wait there."""
    waiting: dict[tuple[str, int], tuple[float, int]] = {}  # since when, and where it stood
    slowest = 0.0
    for seen in looks:
        for partition, end in seen.ends.items():
            place = seen.committed.get(partition, 0)
            since, stood = waiting.get(partition, (seen.at, place))
            if place > stood:
                slowest = max(slowest, seen.at - since)
                del waiting[partition]
            elif end > place and (partition in waiting or seen.at < until):
                waiting[partition] = (since, stood)
    return None if waiting else slowest


def first_effect(looks: list[Seen], moment: float) -> float | None:
    """Seconds until anything had an effect; None: not yet."""
    done = [sum(seen.committed.values()) for seen in looks]
    return next((seen.at - moment for seen, n in zip(looks, done, strict=True) if n > done[0]), None)


def progress_of_relays(looks: list[Seen], moment: float) -> float | None:
    """Seconds until something was published; None: not yet."""
    return next((seen.at - moment for seen in looks if seen.relayed > looks[0].relayed), None)


def progress_of_dispatchers(looks: list[Seen], moment: float) -> float | None:
    """Seconds until a question was sent, or none waits; None: not yet."""
    return next((seen.at - moment for seen in looks if seen.sent > looks[0].sent or not seen.waiting), None)
