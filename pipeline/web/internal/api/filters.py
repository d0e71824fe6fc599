"""What a page or a report is about: a level and a time, as they stand in the address; and what is read for it."""

from collections.abc import Mapping
from datetime import date
from typing import NamedTuple, NoReturn

from litestar.exceptions import ValidationException
from sqlalchemy import Connection

from pipeline.domain.reports.counts import Counts
from pipeline.store.reads import reports
from pipeline.store.unit_of_work import Setup

LONGEST = 200  # characters of any parameter


class Choice(NamedTuple):
    """One level (None: the fleet alone) and the days of completion, both ends included."""

    by: str | None = None
    first: date | None = None
    last: date | None = None

    def fleet(self, connection: Connection) -> Counts:
        """The summed counters of all orders in that time."""
        return reports.total(connection, *self._days())

    def segments(self, connection: Connection) -> Mapping[str, Counts]:
        """The summed counters per segment of the level; without one there are none."""
        return reports.by_segment(connection, self.by, *self._days()) if self.by is not None else {}

    def _days(self) -> tuple[int | None, int | None]:
        first, last = (None if day is None else day.toordinal() for day in (self.first, self.last))
        return first, last


def levels(setup: Setup) -> list[str]:
    """The levels that are counted, as they were configured."""
    return [level.name for level in setup.levels]


def usual_level(setup: Setup) -> str:
    """What a page shows unasked: the finest level of one dimension, where somebody can be named and can act."""
    plain = [level for level in setup.levels if "+" not in level.name] or list(setup.levels)
    return max(plain, key=lambda level: level.capacity).name


def choose(setup: Setup, by: str | None, first: str | None, last: str | None) -> Choice:
    """The choice in these parameters; an empty one, as forms send it, counts as left out.

    Raises ValidationException naming the parameter.
    """
    if by and by not in levels(setup):
        complain("by", f"no level {by[:LONGEST]!r} is counted here; there are: {', '.join(levels(setup))}")
    choice = Choice(by or None, _day("from", first), _day("to", last))
    if choice.first and choice.last and choice.first > choice.last:
        complain("from", f"{choice.first} is after {choice.last}, the day in 'to'")
    return choice


def complain(name: str, message: str) -> NoReturn:
    """Refuse a request for one of its parameters."""
    raise ValidationException(f"parameter {name!r}", extra=[{"key": name, "message": message, "source": "query"}])


def _day(name: str, text: str | None) -> date | None:
    if not text:
        return None
    try:
        return date.fromisoformat(text)
    except ValueError:
        complain(name, f"{text[:LONGEST]!r} is not a date as in 2026-11-20")
