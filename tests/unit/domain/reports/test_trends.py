"""Trends: points of weeks and months, and their sums over several."""

from datetime import date

import pytest
from hypothesis import given
from hypothesis import strategies as st

from pipeline.domain.reports.figures import compared_of
from pipeline.domain.reports.periods.spans import newest
from pipeline.domain.reports.periods.trends import COUNTERS, shares_of, smoothed, trend

CELLS = st.integers(0, 40)


@given(CELLS, CELLS, CELLS, CELLS, st.integers(0, 500), st.integers(0, 500))
def test_shares_without_intervals_are_the_points_of_the_figures(
    n11: int, n10: int, n01: int, n00: int, kept: int, late: int
) -> None:
    counts = dict(zip(COUNTERS, (kept, kept + late, n11, n10, n01, n00), strict=True))
    compared = compared_of(counts)
    shares = shares_of(counts)
    if compared is None:
        assert shares.experienced is None
    else:
        assert shares.claimed == compared.claimed
        assert shares.experienced == pytest.approx(compared.experienced.value)


def test_a_week_without_orders_has_a_point_without_figures() -> None:
    first, second, third = trend({7: {"on_time": 3, "on_time:stated": 4}, 21: {"on_time:stated": 2}}, [7, 14, 21])
    assert (first.claimed, first.compared) == (0.75, None)
    assert (second.day, second.claimed) == (14, None)
    assert third.claimed == 0.0


def test_smoothed_shares_pool_each_week_with_those_before_it() -> None:
    weeks = {
        1: {"on_time": 1, "on_time:stated": 2},
        8: {"on_time": 1, "on_time:stated": 2},
        15: {"on_time": 4, "on_time:stated": 4},
    }
    assert [shares.claimed for shares in smoothed(weeks, [1, 8, 15], 2)] == [0.5, 5 / 6]


def test_the_newest_months_and_weeks_end_with_the_current_one() -> None:
    day = date(2026, 3, 2).toordinal()  # a Monday
    assert [date.fromordinal(found) for found in newest("month", day, 3)] == [
        date(2026, 1, 1),
        date(2026, 2, 1),
        date(2026, 3, 1),
    ]
    assert newest("week", day + 6, 2) == [day - 7, day]
