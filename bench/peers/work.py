"""The work that is the same for all: what a worker of ours does with a batch, and one message out per event.

A contender reads its orders from its environment, takes batches from the topics, has them done here, sends what comes
back, and tells the broker how far it is. It is ended by SIGTERM.
"""

import os
import time
from collections.abc import Sequence
from datetime import UTC, datetime
from typing import NamedTuple

import msgspec

from pipeline.consumers.cluster.kafka.events import Record, incoming
from pipeline.consumers.cluster.runner import ClusterRunner
from pipeline.domain.asking.policy import Policy
from pipeline.domain.detection.segments import parse_levels
from pipeline.settings import DEFAULT_LEVELS
from pipeline.store.db.engine import connect
from pipeline.store.people.vault import KEY_BYTES, Vault
from pipeline.store.unit_of_work import Setup

BATCH = 500  # records a transaction
TOPICS = ("orders", "deliveries")
OUT = "out"


class Orders(msgspec.Struct):
    """What a contender is told."""

    bootstrap: str
    prefix: str  # of the topics
    group: str
    database: str

    @property
    def topics(self) -> list[str]:
        """What it reads."""
        return [self.prefix + topic for topic in TOPICS]

    @property
    def out(self) -> str:
        """Where its messages go."""
        return self.prefix + OUT


class Taken(NamedTuple):
    """A record as any client tells it; `timestamp` is when the broker had it, in milliseconds."""

    topic: str
    partition: int
    offset: int
    key: bytes | None
    value: bytes
    timestamp: int


class Reported(msgspec.Struct):
    """One batch whose effect is committed: when, and how long each of its records took from the broker to there."""

    at: float  # Unix time
    milliseconds: list[int]


def orders() -> Orders:
    """From the environment."""
    return msgspec.json.decode(os.environ["BENCH_ORDERS"], type=Orders)


def report(timestamps: Sequence[int]) -> None:
    """Tell whoever measures that these are committed."""
    now = time.time()
    told = Reported(now, [round(now * 1_000) - timestamp for timestamp in timestamps])
    print(msgspec.json.encode(told).decode(), flush=True)


def runner(told: Orders) -> ClusterRunner:
    """The worker's own, on the contender's database."""
    setup = Setup(parse_levels(DEFAULT_LEVELS), 1.0, Policy(), sending=True)
    return ClusterRunner(connect(told.database, cluster=True), Vault(bytes(KEY_BYTES)), setup)


class Job:
    """Has batches done."""

    def __init__(self, told: Orders) -> None:
        self._prefix = told.prefix
        self._runner = runner(told)

    def do(self, records: Sequence[Taken]) -> Sequence[tuple[bytes | None, bytes]]:
        """One transaction: journal, orders, claims, questions, figures. Returns a key and a message for each record."""
        now = datetime.now(UTC)
        read = [Record(one.topic, one.partition, one.offset, one.value, ()) for one in records]
        self._runner.take([incoming(one, self._prefix, now) for one in read], now)
        report([one.timestamp for one in records])
        return [(one.key, one.value) for one in records]
