"""When a source of events has been silent for longer than its own past makes plausible.

Time is counted in slots of a quarter of an hour, and only in those in which this installation was running or received
anything: the time of a stop is nobody's silence. Nights, weekends and holidays are in a source's own past.
"""

from bisect import bisect_right
from collections.abc import Sequence
from datetime import UTC, datetime, timedelta
from itertools import pairwise
from typing import NamedTuple

SLOT = timedelta(minutes=15)
_DAY = timedelta(days=1)
PAST = timedelta(days=90)
"""How far back a source's own past reaches."""
MIN_PAST = timedelta(days=28)
"""Time since a source's first event below which nothing is known of its weekends."""
MIN_SLOTS = 20
"""Slots with events in its past below which a source has no rate that could be missed."""
SHORTEST = 24
"""Slots (six hours) that are no silence yet, however steady the source: shorter interruptions end by themselves."""
TIMES_LONGEST = 2
"""A silence is implausible from so many times the longest one of the source's past on."""
MAX_SOURCES = 1_000
"""Sources that are watched. Whoever puts a number into the name of the source has more than can be watched."""


class Gap(NamedTuple):
    """A reported silence of a source: it is no part of its past. First and last slot."""

    first: int
    last: int


class Silence(NamedTuple):
    """How long a source has been silent, in slots, and from how many on that is implausible (None: never)."""

    last_slot: int
    slots: int
    limit: int | None
    usual: float
    """Share of the past's slots without events."""
    past_days: int

    @property
    def is_implausible(self) -> bool:
        """Whether the source's own past does not explain it."""
        return self.limit is not None and self.slots >= self.limit

    @property
    def is_long(self) -> bool:
        """Whether it is implausible twice over."""
        return self.limit is not None and self.slots >= 2 * self.limit


def slot_of(moment: datetime) -> int:
    """The slot of an instant."""
    return int(moment.timestamp() // SLOT.total_seconds())


def start_of(slot: int) -> datetime:
    """The instant at which a slot begins."""
    return datetime.fromtimestamp(slot * SLOT.total_seconds(), UTC)


def silence_of(sent: Sequence[int], awake: Sequence[int], reported: Sequence[Gap], first: int, now: int) -> Silence:
    """Judge a source at the slot `now`.

    `sent`: the slots of its past with events, sorted, at least one. `awake`: the slots in which this installation was
    running, sorted. `first`: the slot of its first event ever.
    """
    last = sent[-1]
    past = bisect_right(awake, last) - bisect_right(awake, sent[0] - 1)
    usual = 1.0 - len(sent) / max(past, len(sent))
    known = last - first >= MIN_PAST / SLOT and len(sent) >= MIN_SLOTS
    limit = max(SHORTEST, TIMES_LONGEST * _longest(sent, awake, reported)) if known else None
    return Silence(last, _between(awake, last, now + 1), limit, usual, max(1, int((last - sent[0]) * SLOT / _DAY)))


def _longest(sent: Sequence[int], awake: Sequence[int], reported: Sequence[Gap]) -> int:
    """The longest silence of the past that was not reported, in slots."""
    gaps = (
        _between(awake, before, after)
        for before, after in pairwise(sent)
        if after > before + 1 and not any(before < gap.last and gap.first < after for gap in reported)
    )
    return max(gaps, default=0)


def _between(awake: Sequence[int], before: int, after: int) -> int:
    """Number of slots between two others, without both, in which this installation was running."""
    return max(0, bisect_right(awake, after - 1) - bisect_right(awake, before))
