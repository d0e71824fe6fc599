"""The weeks and months that a report is about, the one before each, and when a day begins and ends."""

from datetime import UTC, date, datetime, time, timedelta
from typing import Literal, NamedTuple

from pipeline.domain.reports.periods.spans import WEEK, first_day

CalendarUnit = Literal["week", "month"]
_DAY = timedelta(days=1)


class Period(NamedTuple):
    """A week from Monday to Sunday, or a month. Both ends are included."""

    unit: CalendarUnit
    first: date
    last: date

    @property
    def before(self) -> "Period":
        """The week or month before."""
        return period_of(self.unit, self.first - _DAY)

    @property
    def after(self) -> "Period":
        """The next week or month."""
        return period_of(self.unit, self.last + _DAY)

    @property
    def name(self) -> str:
        """What it is named by where it is stored: "week 2026-11-16"."""
        return f"{self.unit} {self.first}"

    @property
    def days(self) -> tuple[int, int]:
        """The ordinals of both ends."""
        return self.first.toordinal(), self.last.toordinal()


def period_of(unit: CalendarUnit, day: date) -> Period:
    """The week or month that contains a day."""
    first = date.fromordinal(first_day(unit, day.toordinal()))
    last = first + timedelta(days=WEEK - 1)
    if unit == "month":
        last = (first + timedelta(days=31)).replace(day=1) - _DAY
    return Period(unit, first, last)


def begin_of(day: date) -> datetime:
    """The first instant of a day, UTC."""
    return datetime.combine(day, time.min, UTC)


def end_of(day: date) -> datetime:
    """The first instant after a day, UTC; of the last day of the calendar, its last instant."""
    return datetime.max.replace(tzinfo=UTC) if day == date.max else begin_of(day + _DAY)


def newest_complete(unit: CalendarUnit, today: date) -> Period:
    """The newest week or month that is over."""
    return period_of(unit, today).before
