"""Weeks and months of reports."""

from datetime import date, timedelta

from hypothesis import given
from hypothesis import strategies as st

from pipeline.domain.reports.periods.calendar import CalendarUnit, newest_complete, period_of

DAYS = st.dates(date(1990, 1, 1), date(2100, 1, 1))
UNITS: st.SearchStrategy[CalendarUnit] = st.sampled_from(("week", "month"))


@given(UNITS, DAYS)
def test_periods_follow_each_other_without_gaps(unit: CalendarUnit, day: date) -> None:
    period = period_of(unit, day)
    assert period.first <= day <= period.last
    assert period.before.last + timedelta(days=1) == period.first
    assert period.after.first == period.last + timedelta(days=1)
    assert period_of(unit, period.first) == period == period_of(unit, period.last)
    assert newest_complete(unit, day) == period.before


def test_a_week_is_from_monday_to_sunday_and_a_month_may_have_29_days() -> None:
    assert period_of("week", date(2026, 3, 4)) == ("week", date(2026, 3, 2), date(2026, 3, 8))
    assert period_of("month", date(2024, 2, 10)) == ("month", date(2024, 2, 1), date(2024, 2, 29))
    assert period_of("month", date(2026, 12, 31)).name == "month 2026-12-01"
