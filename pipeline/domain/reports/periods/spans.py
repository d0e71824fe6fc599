"""Months and weeks whose sums are kept next to those of days, and the fewest of them that make up a period.

A report of years then reads some months and the days at the edges of the period, not a row for each day.
"""

import calendar
from datetime import date
from functools import lru_cache
from typing import Literal, NamedTuple

Span = Literal["all", "month", "week"]
Unit = Literal["all", "month", "week", "day"]

SPANS: tuple[Span, ...] = ("all", "month", "week")
ALWAYS = 0
"""The first day of the span `all`, which contains every day."""
WEEK = 7  # days
_EARLIEST = date.min.toordinal()


class Part(NamedTuple):
    """Whole units of one kind that follow each other: the first days of the first and of the last (None: open)."""

    unit: Unit
    first: int | None
    last: int | None


@lru_cache(maxsize=65_536)
def first_day(span: Span, day: int) -> int:
    """The first day of the span that contains a day. Days are ordinals (`date.toordinal`); weeks begin on Mondays."""
    if span == "all":
        return ALWAYS
    return month_of(day) if span == "month" else week_of(day)


def month_of(day: int) -> int:
    """The first day of the month of a day."""
    return date.fromordinal(day).replace(day=1).toordinal()


def week_of(day: int) -> int:
    """The Monday of the week of a day: ordinal 1 is a Monday."""
    return day - (day - 1) % WEEK


def parts(first: int | None, last: int | None) -> list[Part]:
    """The units that make up a period, each day in exactly one of them. Both ends are included; None: open.

    Whole months, at each end whole weeks, and the days that are left.
    """
    if first is None and last is None:
        return [Part("all", ALWAYS, ALWAYS)]
    months_from = None if first is None else _month_from(first)
    months_before = None if last is None else _month_before(last)
    if last is not None and months_before is not None and (months_from or _EARLIEST) >= months_before:
        return _weeks(first or _EARLIEST, last)
    found = [Part("month", months_from, None if months_before is None else month_of(months_before - 1))]
    if first is not None and months_from is not None:
        found += _weeks(first, months_from - 1)
    if last is not None and months_before is not None:
        found += _weeks(months_before, last)
    return found


def _month_from(day: int) -> int:
    """The first day of the first month that begins on this day or later."""
    return day if month_of(day) == day else _next_month(day)


def _month_before(day: int) -> int:
    """The day after the last month that ends on this day or earlier."""
    return day + 1 if _next_month(day) == day + 1 else month_of(day)


def _next_month(day: int) -> int:
    found = date.fromordinal(day)
    return month_of(day) + calendar.monthrange(found.year, found.month)[1]


def _weeks(first: int, last: int) -> list[Part]:
    """The weeks and days from `first` to `last`; none if `last` is earlier."""
    begin = first if week_of(first) == first else week_of(first) + WEEK
    end = week_of(last + 1)  # the day after the last whole week
    if begin >= end:
        return _days(first, last)
    return [*_days(first, begin - 1), Part("week", begin, end - WEEK), *_days(end, last)]


def _days(first: int, last: int) -> list[Part]:
    return [Part("day", first, last)] if first <= last else []


def newest(span: Literal["month", "week"], last: int, many: int) -> list[int]:
    """The first days of the `many` newest months or weeks up to the one that contains the day `last`, oldest first."""
    found = [first_day(span, last)]
    while len(found) < many and found[-1] > WEEK:
        found.append(first_day(span, found[-1] - 1))
    return found[::-1]
