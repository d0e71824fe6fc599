"""Segments: orders that share the values of one or more dimensions, at every configured level."""

from collections.abc import Mapping, Sequence
from typing import NamedTuple

TOTAL = ("", "")  # the fleet as a whole, as (dimension, value)
_JOIN = "+"


class Level(NamedTuple):
    """One level of segments: `name` is a dimension or several joined by "+".

    `capacity`: the configured number of segments, from which the threshold of alerts is computed.
    """

    name: str
    capacity: int


class Segment(NamedTuple):
    """One segment: the level's name, and the value (several values are joined by "+" in the same order)."""

    dimension: str
    value: str

    @property
    def key(self) -> str:
        """What its evidence is locked and partitioned by."""
        return f"{self.dimension}={self.value}"


ROUTE_LEVEL = Level("message_route", 100)
"""Channel and recipient's country of our messages, as in "sms FR". Not a level of orders: only messages are counted."""


class Series(NamedTuple):
    """One signal of one segment: what evidence is collected for, and what an alert is about."""

    dimension: str
    value: str
    signal: str


def parse_levels(text: str) -> tuple[Level, ...]:
    """Parse levels such as "region:27,depot:40,region+carrier:200". Raises ValueError whose message is for users."""
    levels = []
    for part in filter(None, (item.strip() for item in text.split(","))):
        name, _, capacity = part.rpartition(":")
        if not name or not capacity.isdigit() or not 1 <= int(capacity) <= 1_000_000:
            raise ValueError(f"{part!r} is not DIMENSION:CAPACITY, as in 'depot:40'")
        levels.append(Level(name, int(capacity)))
    if not levels:
        raise ValueError("at least one level is needed, as in 'depot:40'")
    if len({level.name for level in levels}) < len(levels):
        raise ValueError("each level may be named once")
    return tuple(levels)


def format_levels(levels: Sequence[Level]) -> str:
    """Levels in the form that `parse_levels` reads."""
    return ",".join(f"{level.name}:{level.capacity}" for level in levels)


def segments_of(dimensions: Mapping[str, str], levels: Sequence[Level]) -> list[Segment]:
    """The segments an order belongs to: one for each level whose dimensions it has."""
    found = []
    for level in levels:
        value = dimensions.get(level.name)
        if value is None and _JOIN in level.name:
            values = [dimensions.get(name) for name in level.name.split(_JOIN)]
            if None not in values:
                value = _JOIN.join(str(item) for item in values)
        if value is not None:
            found.append(Segment(level.name, value))
    return found


def segments_counted(dimensions: Mapping[str, str], levels: Sequence[Level]) -> list[Segment]:
    """The segments in which an observation counts: those of an order, and the route of a message."""
    return segments_of(dimensions, (*levels, ROUTE_LEVEL))
