"""Drives the simulated company through the pipeline in blocks of six hours; goes on where a run was killed.

The outcome does not depend on kills. Which replies fall into a block is settled before it starts: those to
the questions known when the block before was finished, if their time comes before this one's end. How far
questions were read is kept with the block's number, and only after the block was taken: a block that was cut
short is taken again with the same content, and what the pipeline already has of it, it drops by its id.
"""

from collections.abc import Callable, Iterable
from datetime import date, datetime, timedelta
from typing import NamedTuple, Protocol

from pipeline.demo.company import LIVE_FROM, Company, Timed
from pipeline.domain.events.contract import FeedbackRequested
from pipeline.settings import Unusable
from pipeline.sources import Incoming

BLOCK = timedelta(hours=6)
BLOCKS_A_DAY = 4
PLACE = "demo"  # the name under which the place is kept


class Memory(Protocol):
    """Where a driver keeps its place."""

    def get(self, name: str) -> str | None:
        """A small durable value, None if it was never put."""

    def put(self, name: str, value: str) -> None:
        """Keep a small value durably."""


class Runtime(Memory, Protocol):
    """What the driver needs of the pipeline."""

    def take(self, items: Iterable[tuple[datetime, Incoming]]) -> None:
        """Receive each item at its time, store it durably and process everything to the end."""

    def requests_after(self, seq: int) -> list[tuple[int, datetime, FeedbackRequested]]:
        """The questions emitted since journal position `seq`, oldest first: position, time, question."""


class Place(NamedTuple):
    """How far the company has come: the next block, and up to which journal position questions were read.

    `seen`: when the block before the next one was finished; `seen_before`: when it was begun.
    """

    block: int = 0
    seen_before: int = 0
    seen: int = 0

    def write(self) -> str:
        return f"{self.block} {self.seen_before} {self.seen}"


def read_place(text: str | None) -> Place:
    """The place as it was written; the beginning if there is none."""
    return Place(*map(int, text.split())) if text else Place()


def days_before_live(start: date, days: int, place: Place, today: date) -> int:
    """How many days to simulate before going on live: `days` at least, and every later one up to yesterday.

    Raises Unusable if the history would reach, or at its `place` has reached, beyond that.
    """
    passed = (today - start).days
    if max(days, -(-place.block // BLOCKS_A_DAY)) > passed:
        raise Unusable(
            f"{days} days from {start} on end after yesterday, and live deliveries cannot come before that: "
            "ask for fewer days, or for --no-live"
        )
    if passed >= LIVE_FROM:
        raise Unusable(f"{start} is too long ago to go on from there until today")
    return passed


def run(runtime: Runtime, company: Company, days: int = 90, progress: Callable[[int, int], None] | None = None) -> None:
    """Go from where the company is to the end of its first `days`; `progress` gets blocks done and in all."""
    blocks = days * BLOCKS_A_DAY
    place = read_place(runtime.get(PLACE))
    pending = _owed(runtime, company, place)
    while place.block < blocks:
        begin = company.midnight(0) + place.block * BLOCK
        due = [timed for timed in pending if timed[0] < begin + BLOCK]
        pending = [timed for timed in pending if timed[0] >= begin + BLOCK]
        runtime.take(sorted(_happening(company, place.block, begin) + due, key=_when))
        asked = runtime.requests_after(place.seen)
        pending += _replies(company, asked)
        place = Place(place.block + 1, place.seen, asked[-1][0] if asked else place.seen)
        runtime.put(PLACE, place.write())
        if progress is not None:
            progress(place.block, blocks)


def _owed(runtime: Runtime, company: Company, place: Place) -> list[Timed]:
    """The replies that were pending when `place` was written.

    Of the questions known before the last block, those whose time had come are with the pipeline already.
    """
    begin = company.midnight(0) + place.block * BLOCK
    asked = [item for item in runtime.requests_after(0) if item[0] <= place.seen]
    former = [item for item in asked if item[0] <= place.seen_before]
    latest = [item for item in asked if item[0] > place.seen_before]
    return [timed for timed in _replies(company, former) if timed[0] >= begin] + _replies(company, latest)


def _replies(company: Company, asked: Iterable[tuple[int, datetime, FeedbackRequested]]) -> list[Timed]:
    answers = (company.answer(request, at) for _, at, request in asked)
    return [answer for answer in answers if answer is not None]


def _happening(company: Company, block: int, begin: datetime) -> list[Timed]:
    """The company's own events of one block."""
    return [timed for timed in company.day(block // BLOCKS_A_DAY) if begin <= timed[0] < begin + BLOCK]


def _when(timed: Timed) -> tuple[datetime, bytes]:
    return timed[0], timed[1].raw
