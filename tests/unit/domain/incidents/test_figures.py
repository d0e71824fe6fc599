"""Then and now: what the last days say next to the figures at the opening."""

from datetime import UTC, date, datetime

from pipeline.domain.detection.alerting import Pair
from pipeline.domain.events.incidents import Rate, Then
from pipeline.domain.incidents.figures import now_of, rank_of, rate_of

TODAY = date(2026, 3, 31)
THEN = Then(datetime(2026, 3, 1, tzinfo=UTC), date(2026, 2, 1), Rate(0.6, 0.4, 0.8, 40), 0.05)


def pairs(marks: str, last_day: int = TODAY.toordinal()) -> list[Pair]:
    """Two pairs a day, the last ones on `last_day`: `x` contradicts, `.` agrees."""
    days = [last_day - (len(marks) - 1 - n) // 2 for n in range(len(marks))]
    return [
        Pair(day, float(mark == "x"), 0.07, f"A-{n}", f"O-{n}")
        for n, (day, mark) in enumerate(zip(days, marks, strict=True))
    ]


def test_the_windows_end_with_the_day_and_have_their_own_numbers() -> None:
    now = now_of(pairs("x." * 40), THEN, TODAY)

    assert (now.last_14_days and now.last_14_days.n, now.last_30_days and now.last_30_days.n) == (28, 60)
    assert now.last_30_days is not None
    assert now.last_30_days.low < now.last_30_days.value == 0.5 < now.last_30_days.high
    assert (now.null, now.trend) == (0.07, "unchanged")


def test_a_trend_needs_ten_pairs_and_intervals_that_do_not_touch() -> None:
    assert now_of([], THEN, TODAY).trend == "too_few"
    assert now_of(pairs("." * 9), THEN, TODAY).trend == "too_few"
    assert now_of(pairs("." * 28), THEN, TODAY).trend == "better"
    assert now_of(pairs("x" * 28), THEN, TODAY).trend == "worse"


def test_the_newest_weeks_decide_before_the_whole_month() -> None:
    assert now_of(pairs("x" * 30 + "." * 28), THEN, TODAY).trend == "better"


def test_incidents_rank_by_the_orders_that_are_affected_at_least() -> None:
    few = now_of(pairs("x" * 5), THEN, TODAY)
    assert abs(rank_of(THEN, None, 200) - 0.35 * 200) < 1e-9
    assert abs(rank_of(THEN, few, 200) - (0.4 - 0.07) * 200) < 1e-9  # too few: the figures of then
    assert rank_of(THEN, now_of(pairs("." * 40), THEN, TODAY), 200) == 0.0
    assert rate_of([]) is None
