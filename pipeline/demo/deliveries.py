"""Live deliveries of the demo's company: order after order over HTTP, each completed at the time it is sent."""

import time
from collections.abc import Callable
from datetime import datetime

import msgspec

from pipeline.consumers.runtime.background import Background
from pipeline.demo.backfill import KeyValueStore
from pipeline.demo.company import LIVE_FROM, Company
from pipeline.demo.events import events_of
from pipeline.demo.http_client import HttpClient

BLOCK_KEY = "demo.live"  # name under which the block being sent is stored
SHORTEST = 0.5  # seconds between two requests; a higher pace puts more orders into each request
FASTEST = 3_000  # orders a minute: the most that fit into requests of that interval
_RETRY_SECONDS = 0.5


class Block(msgspec.Struct, frozen=True):
    """Orders sent in one request: `size` orders of `day` from `number` on, whose last event happens at `moment`.

    `before`: the live orders sent earlier.
    """

    day: int
    number: int
    size: int
    before: int
    moment: datetime

    @property
    def sent(self) -> int:
        """Live orders sent, including this block's."""
        return self.before + self.size


def next_block(company: Company, last: Block | None, size: int, moment: datetime) -> Block:
    """The block after `last`, of at most `size` orders; a block never extends past the end of a day."""
    day, number, before = (LIVE_FROM, 0, 0) if last is None else (last.day, last.number + last.size, last.sent)
    if number == len(company.stories(day)):
        day, number = day + 1, 0
    return Block(day, number, min(size, len(company.stories(day)) - number), before, moment)


def events_of_block(company: Company, block: Block) -> list[bytes]:
    """All events of a block's orders, order by order, each in the sequence of receipt. The same on every call."""
    found = []
    for story in company.stories(block.day)[block.number : block.number + block.size]:
        events = events_of(story.shifted(block.moment - story.last))
        found += [incoming.raw for _, incoming in sorted(events, key=lambda timed: (timed[0], timed[1].raw))]
    return found


class Deliveries(Background):
    """Sends `pace` orders a minute, `limit` orders in all (None: no limit), from where an earlier process stopped.

    A block is stored before it is sent, and is sent until it is accepted: after a kill the next process sends the
    stored block again, with the same content.
    """

    def __init__(
        self,
        store: KeyValueStore,
        company: Company,
        client: HttpClient,
        pace: float,
        limit: int | None,
        now: Callable[[], datetime],
    ) -> None:
        super().__init__("deliveries")
        self._store = store
        self._company = company
        self._client = client
        self._size = max(1, round(pace * SHORTEST / 60))
        self._seconds = self._size * 60 / pace
        self._limit = limit
        self._now = now

    def _work(self) -> None:
        stored = self._store.get(BLOCK_KEY)
        block = msgspec.json.decode(stored, type=Block) if stored else None
        if block is not None and not self._send(block):
            return
        due = time.monotonic()
        while size := self._next_size(block):
            if not self._pause(due - time.monotonic()):
                return
            block = next_block(self._company, block, size, self._now().replace(microsecond=0))
            self._store.put(BLOCK_KEY, msgspec.json.encode(block).decode())
            if not self._send(block):
                return
            due = max(due + self._seconds, time.monotonic())
        self._pause(None)

    def _next_size(self, block: Block | None) -> int:
        if self._limit is None:
            return self._size
        return min(self._size, max(0, self._limit - (block.sent if block else 0)))

    def _send(self, block: Block) -> bool:
        """Send until accepted. False: the thread has to stop, and whether it was accepted is unknown."""
        events = events_of_block(self._company, block)
        while not self._client.send_events(events):
            if not self._pause(_RETRY_SECONDS):
                return False
        return True
