"""Honest sources: when they are open, and that nobody calls them silent."""

from datetime import date, timedelta

import numpy as np
import pytest

from pipeline.simulation.sources import SHUT, SOURCES, START, _easter, _sent, false_silences, found_after


@pytest.mark.parametrize(
    ("year", "day"), [(2024, date(2024, 3, 31)), (2025, date(2025, 4, 20)), (2026, date(2026, 4, 5))]
)
def test_easter_is_where_the_calendar_has_it(year: int, day: date) -> None:
    assert _easter(year) == day


def test_a_source_sends_in_its_hours_and_never_on_its_closed_days() -> None:
    sent = _sent(SOURCES[0], np.random.default_rng(1), 1)
    days = {START + timedelta(days=slot // 96) for slot in sent}
    assert all(day.weekday() < 5 for day in days)
    assert not days & {date(2024, 5, 1), date(2024, 5, 9), date(2024, 12, 25)}
    assert all(7 * 4 <= slot % 96 < 19 * 4 for slot in sent)
    closed = {START + timedelta(days=slot // 96) for slot in _sent(SHUT, np.random.default_rng(1), 1)}
    assert date(2024, 12, 30) not in closed


def test_an_honest_source_is_not_called_silent_and_one_that_stops_is() -> None:
    assert false_silences(SOURCES[0], seed=1, years=1) == 0
    days = found_after(SOURCES[3], seed=1)
    assert days == 0.25, "six hours, of one that sends day and night"
