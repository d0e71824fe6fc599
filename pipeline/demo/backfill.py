"""Simulates the company's past days through the pipeline, in blocks of six hours; resumable after a kill.

The result does not depend on kills. Which replies belong to a block is fixed before it starts: replies to the
questions known when the block before was finished, if their time comes before this block's end. The checkpoint (block
number, and the journal position up to which questions were read) is stored only after the block was ingested: an
interrupted block is sent again with the same content, and the pipeline drops known events by their id.
"""

from collections.abc import Callable, Iterable
from datetime import date, datetime, timedelta
from typing import NamedTuple, Protocol

from pipeline.demo.company import LIVE_FROM, Company
from pipeline.demo.events import Timed
from pipeline.domain.events.contract import FeedbackRequested
from pipeline.settings import ConfigurationError
from pipeline.sources import Incoming

BLOCK = timedelta(hours=6)
BLOCKS_A_DAY = 4
CHECKPOINT_KEY = "demo"


class KeyValueStore(Protocol):
    """Where a simulation keeps its checkpoint."""

    def get(self, name: str) -> str | None:
        """A small durable value, None if there is none of that name."""

    def put(self, name: str, value: str) -> None:
        """Store a small value durably."""


class Runtime(KeyValueStore, Protocol):
    """What the simulation needs of the pipeline."""

    def ingest(self, items: Iterable[tuple[datetime, Incoming]]) -> None:
        """Receive each item at its time, store it durably and process everything that follows from it."""

    def work_on_cases(self, now: datetime) -> None:
        """Let the service desk settle the cases whose time has come."""

    def requests_after(self, seq: int) -> list[tuple[int, datetime, FeedbackRequested]]:
        """The questions emitted after journal position `seq`, oldest first: position, time, question."""


class Checkpoint(NamedTuple):
    """How far the simulation has come: the next block, and journal positions up to which questions were read.

    `seen`: when the block before the next one was finished; `seen_before`: when it started.
    """

    block: int = 0
    seen_before: int = 0
    seen: int = 0

    def encode(self) -> str:
        return f"{self.block} {self.seen_before} {self.seen}"


def read_checkpoint(text: str | None) -> Checkpoint:
    """The checkpoint as `encode` wrote it; the beginning if there is none."""
    return Checkpoint(*map(int, text.split())) if text else Checkpoint()


def days_before_live(start: date, days: int, checkpoint: Checkpoint, today: date) -> int:
    """Days to simulate before the live part: at least `days`, and every later day up to yesterday.

    Raises ConfigurationError if the past days would reach beyond yesterday, or did at their `checkpoint`.
    """
    passed = (today - start).days
    if max(days, -(-checkpoint.block // BLOCKS_A_DAY)) > passed:
        raise ConfigurationError(
            f"{days} days from {start} on end after yesterday, and live deliveries cannot come before that: "
            "ask for fewer days, or for --no-live"
        )
    if passed >= LIVE_FROM:
        raise ConfigurationError(f"{start} is too long ago to simulate every day until today")
    return passed


def run(runtime: Runtime, company: Company, days: int = 90, progress: Callable[[int, int], None] | None = None) -> None:
    """Simulate from the checkpoint to the end of the company's first `days` days.

    `progress` gets the finished blocks and the number of all blocks.
    """
    blocks = days * BLOCKS_A_DAY
    checkpoint = read_checkpoint(runtime.get(CHECKPOINT_KEY))
    pending = _pending_replies(runtime, company, checkpoint)
    while checkpoint.block < blocks:
        begin = company.midnight(0) + checkpoint.block * BLOCK
        due = [timed for timed in pending if timed[0] < begin + BLOCK]
        pending = [timed for timed in pending if timed[0] >= begin + BLOCK]
        runtime.ingest(sorted(_company_events(company, checkpoint.block, begin) + due, key=_time_and_content))
        runtime.work_on_cases(begin + BLOCK)
        requests = runtime.requests_after(checkpoint.seen)
        pending += _replies(company, requests)
        checkpoint = Checkpoint(checkpoint.block + 1, checkpoint.seen, requests[-1][0] if requests else checkpoint.seen)
        runtime.put(CHECKPOINT_KEY, checkpoint.encode())
        if progress is not None:
            progress(checkpoint.block, blocks)


def _pending_replies(runtime: Runtime, company: Company, checkpoint: Checkpoint) -> list[Timed]:
    """The replies that were pending when `checkpoint` was written.

    Replies to questions known before the last block, due before the next one, were ingested with that block.
    """
    begin = company.midnight(0) + checkpoint.block * BLOCK
    requests = [item for item in runtime.requests_after(0) if item[0] <= checkpoint.seen]
    former = [item for item in requests if item[0] <= checkpoint.seen_before]
    latest = [item for item in requests if item[0] > checkpoint.seen_before]
    return [timed for timed in _replies(company, former) if timed[0] >= begin] + _replies(company, latest)


def _replies(company: Company, requests: Iterable[tuple[int, datetime, FeedbackRequested]]) -> list[Timed]:
    replies = (company.answer(request, at) for _, at, request in requests)
    return [reply for reply in replies if reply is not None]


def _company_events(company: Company, block: int, begin: datetime) -> list[Timed]:
    """The company's own events of one block."""
    return [timed for timed in company.day(block // BLOCKS_A_DAY) if begin <= timed[0] < begin + BLOCK]


def _time_and_content(timed: Timed) -> tuple[datetime, bytes]:
    return timed[0], timed[1].raw
