"""The company delivers, live: order after order through the HTTP door, each as if it had just come to its end."""

import time
from collections.abc import Callable
from datetime import datetime

import msgspec

from pipeline.consumers.runtime.background import Background
from pipeline.demo.company import LIVE_FROM, Company, events_of
from pipeline.demo.door import Door
from pipeline.demo.drive import Memory

PLACE = "demo.live"  # the name under which the block on its way is kept
SHORTEST = 0.5  # seconds between two requests: at a higher pace each of them brings more orders
FASTEST = 3_000  # orders a minute: what fits into such a request
_AGAIN = 0.5  # seconds until what was not taken is sent again


class Block(msgspec.Struct, frozen=True):
    """Orders that are sent together: those of `day` from `number` on, as if their last event happened at `moment`.

    `before`: the live orders sent earlier.
    """

    day: int
    number: int
    size: int
    before: int
    moment: datetime

    @property
    def sent(self) -> int:
        """Live orders sent, these included."""
        return self.before + self.size


def next_block(company: Company, last: Block | None, size: int, moment: datetime) -> Block:
    """The block behind the `last` one, of `size` orders at most; none passes the end of a day."""
    day, number, before = (LIVE_FROM, 0, 0) if last is None else (last.day, last.number + last.size, last.sent)
    if number == len(company.stories(day)):
        day, number = day + 1, 0
    return Block(day, number, min(size, len(company.stories(day)) - number), before, moment)


def told(company: Company, block: Block) -> list[bytes]:
    """All events of a block's orders, order by order, each order's as they are received: the same whenever asked."""
    found = []
    for story in company.stories(block.day)[block.number : block.number + block.size]:
        events = events_of(story.shifted(block.moment - story.last))
        found += [incoming.raw for _, incoming in sorted(events, key=lambda timed: (timed[0], timed[1].raw))]
    return found


class Deliveries(Background):
    """Delivers `pace` orders a minute, `most` in all (None: without end), from where an earlier process ended.

    What is to be sent is settled and kept before it is sent, and it is sent until it is taken: whoever is killed in
    between leaves a block that the next one sends again, with the same content.
    """

    def __init__(
        self,
        memory: Memory,
        company: Company,
        door: Door,
        pace: float,
        most: int | None,
        now: Callable[[], datetime],
    ) -> None:
        super().__init__("deliveries")
        self._memory = memory
        self._company = company
        self._door = door
        self._size = max(1, round(pace * SHORTEST / 60))
        self._seconds = self._size * 60 / pace
        self._most = most
        self._now = now

    def _work(self) -> None:
        kept = self._memory.get(PLACE)
        block = msgspec.json.decode(kept, type=Block) if kept else None
        if block is not None and not self._send(block):
            return
        due = time.monotonic()
        while size := self._wanted(block):
            if not self._pause(due - time.monotonic()):
                return
            block = next_block(self._company, block, size, self._now().replace(microsecond=0))
            self._memory.put(PLACE, msgspec.json.encode(block).decode())
            if not self._send(block):
                return
            due = max(due + self._seconds, time.monotonic())
        self._pause(None)

    def _wanted(self, block: Block | None) -> int:
        if self._most is None:
            return self._size
        return min(self._size, max(0, self._most - (block.sent if block else 0)))

    def _send(self, block: Block) -> bool:
        """Until it is taken. False: it is time to end, and nobody knows."""
        events = told(self._company, block)
        while not self._door.bring(events):
            if not self._pause(_AGAIN):
                return False
        return True
