"""The units that make up a period."""

from datetime import date

from hypothesis import given
from hypothesis import strategies as st

from pipeline.domain.reports.periods.spans import ALWAYS, Part, first_day, parts

EARLIEST, LATEST = date.min.toordinal(), date.max.toordinal()
NEAR = st.integers(date(2019, 12, 1).toordinal(), date(2022, 2, 1).toordinal())
ANY = st.integers(EARLIEST, LATEST)


def contains(part: Part, day: int) -> bool:
    first = day if part.unit == "day" else first_day(part.unit, day)
    return (part.first is None or part.first <= first) and (part.last is None or first <= part.last)


@given(st.none() | NEAR, st.none() | NEAR, NEAR)
def test_each_day_of_a_period_is_in_exactly_one_part_and_no_other_day_is(
    first: int | None, last: int | None, day: int
) -> None:
    inside = (first is None or first <= day) and (last is None or day <= last)
    if first is not None and last is not None and first > last:
        inside = False
    assert sum(contains(part, day) for part in parts(first, last)) == int(inside)


@given(st.none() | ANY, st.none() | ANY)
def test_any_period_has_at_most_some_days_and_weeks_besides_its_months(first: int | None, last: int | None) -> None:
    if first is not None and last is not None and first > last:
        first, last = last, first
    found = parts(first, last)
    days = sum((part.last or 0) - (part.first or 0) + 1 for part in found if part.unit == "day")
    weeks = sum(((part.last or 0) - (part.first or 0)) // 7 + 1 for part in found if part.unit == "week")
    assert days <= 24
    assert weeks <= 8


def test_spans_begin_on_mondays_and_on_the_first_of_a_month() -> None:
    sunday = date(2026, 3, 1).toordinal()
    assert date.fromordinal(first_day("week", sunday)) == date(2026, 2, 23)
    assert date.fromordinal(first_day("week", sunday + 1)) == date(2026, 3, 2)
    assert first_day("month", sunday) == sunday
    assert first_day("month", sunday + 30) == sunday
    assert first_day("all", sunday) == ALWAYS


def test_a_whole_year_is_its_months() -> None:
    year = parts(date(2026, 1, 1).toordinal(), date(2026, 12, 31).toordinal())
    assert year == [Part("month", date(2026, 1, 1).toordinal(), date(2026, 12, 1).toordinal())]
