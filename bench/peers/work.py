"""The work of every contender: process a batch as our worker does, and publish one message for each event.

A contender reads its configuration from the environment, fetches batches from the topics, processes them with
`BatchJob`, publishes the messages it returns, and commits its offsets. SIGTERM ends it.
"""

import os
import time
from collections.abc import Sequence
from datetime import UTC, datetime
from typing import NamedTuple

import msgspec

from pipeline.consumers.cluster.kafka.events import KafkaRecord, incoming
from pipeline.consumers.cluster.runner import ClusterRunner
from pipeline.domain.asking.policy import Policy
from pipeline.domain.detection.segments import parse_levels
from pipeline.domain.setup import Setup
from pipeline.settings import DEFAULT_SEGMENT_LEVELS
from pipeline.store.db.engine import connect
from pipeline.store.journal.shared_journal import SharedJournal
from pipeline.store.people.vault import KEY_BYTES, Vault
from pipeline.store.store import Store

BATCH = 500  # records a transaction
TOPICS = ("orders", "deliveries")
OUT = "out"


class ContenderConfig(msgspec.Struct):
    """The configuration of a contender, as JSON in BENCH_CONFIG."""

    bootstrap: str
    prefix: str  # of the topics
    group: str
    database: str

    @property
    def topics(self) -> list[str]:
        """The topics it consumes."""
        return [self.prefix + topic for topic in TOPICS]

    @property
    def out(self) -> str:
        """The topic of its messages."""
        return self.prefix + OUT


class PeerRecord(NamedTuple):
    """A record of any client. `timestamp`: when the broker received it, Unix time in milliseconds."""

    topic: str
    partition: int
    offset: int
    key: bytes | None
    value: bytes
    timestamp: int


class BatchReport(msgspec.Struct):
    """A committed batch: the time of the commit, and the latency of each record since the broker received it."""

    at: float  # Unix time
    milliseconds: list[int]


def read_config() -> ContenderConfig:
    """Read the configuration from the environment."""
    return msgspec.json.decode(os.environ["BENCH_CONFIG"], type=ContenderConfig)


def report(timestamps: Sequence[int]) -> None:
    """Report on stdout that a batch of records with these timestamps is committed."""
    now = time.time()
    config = BatchReport(now, [round(now * 1_000) - timestamp for timestamp in timestamps])
    print(msgspec.json.encode(config).decode(), flush=True)


def runner(config: ContenderConfig) -> ClusterRunner:
    """The runner of a worker, on the contender's database."""
    setup = Setup(parse_levels(DEFAULT_SEGMENT_LEVELS), 1.0, Policy(), sending=True)
    return ClusterRunner(Store(connect(config.database, shared=True), Vault(bytes(KEY_BYTES)), SharedJournal()), setup)


class BatchJob:
    """Processes batches with the runner of a worker."""

    def __init__(self, config: ContenderConfig) -> None:
        self._prefix = config.prefix
        self._runner = runner(config)

    def process(self, records: Sequence[PeerRecord]) -> Sequence[tuple[bytes | None, bytes]]:
        """Process a batch in one transaction, and report it. Returns the key and value of a message for each record."""
        now = datetime.now(UTC)
        read = [KafkaRecord(one.topic, one.partition, one.offset, one.value, ()) for one in records]
        self._runner.process_events([incoming(one, self._prefix, now) for one in read], now)
        report([one.timestamp for one in records])
        return [(one.key, one.value) for one in records]
