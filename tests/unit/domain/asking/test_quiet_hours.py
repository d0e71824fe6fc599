"""Quiet hours in every time zone and on days when the clocks change, and due times."""

from collections.abc import Sequence
from datetime import UTC, date, datetime, time, timedelta
from zoneinfo import ZoneInfo

import pytest
from hypothesis import given
from hypothesis import strategies as st

from pipeline.domain.asking.calendars import Place
from pipeline.domain.asking.channels import MAX_QUEUE_TIME
from pipeline.domain.asking.policy import Policy
from pipeline.domain.asking.quiet_hours import (
    MIN_VALIDITY,
    due_at,
    open_from,
    parse_hours,
    places_of,
    quiet,
    validity,
)
from pipeline.domain.events.contract import Contact

MINUTE = timedelta(minutes=1)
ZONES = ["UTC", "Europe/Paris", "America/New_York", "Asia/Kolkata", "Australia/Lord_Howe", "Pacific/Auckland"]
# A year of minutes; more of them around the changes of clocks of these zones.
MOMENTS = st.datetimes(datetime(2026, 1, 1), datetime(2026, 12, 31), timezones=st.just(UTC)).map(  # noqa: DTZ001
    lambda moment: moment.replace(second=0, microsecond=0)
)
CHANGES = st.sampled_from(
    [datetime(2026, 3, 29, 1, tzinfo=UTC), datetime(2026, 10, 25, 1, tzinfo=UTC), datetime(2026, 11, 1, 6, tzinfo=UTC)]
)
NEAR_A_CHANGE = st.builds(lambda change, n: change + n * MINUTE, CHANGES, st.integers(-1_500, 1_500))
TIMES = st.builds(time, st.integers(0, 23), st.sampled_from([0, 15, 30, 50]))
POLICIES = st.builds(lambda begin, end: Policy(quiet_from=begin, quiet_until=end), TIMES, TIMES)
PLACES = [Place(name) for name in ZONES]
SOME_PLACES = st.lists(st.sampled_from(PLACES), min_size=1, max_size=3, unique=True)


@given(st.one_of(MOMENTS, NEAR_A_CHANGE), SOME_PLACES, POLICIES)
def test_a_message_is_sent_in_the_first_open_minute_and_expires_before_quiet_hours(
    moment: datetime, places: list[Place], policy: Policy
) -> None:
    found = open_from(moment, places, policy)
    if found is None:
        # Within the next three days no two minutes are open in all zones.
        for n in range(0, 3 * 24 * 60, 5):
            minute = moment + n * MINUTE
            later = minute + MIN_VALIDITY
            assert _quiet_for_some(minute, places, policy) or _quiet_for_some(later, places, policy)
        return
    assert found >= moment
    assert not _quiet_for_some(found, places, policy)
    lies = validity(found, places, policy)
    assert lies is not None
    assert MIN_VALIDITY <= lies <= MAX_QUEUE_TIME
    n = 0
    while n * MINUTE < lies:
        assert not _quiet_for_some(found + n * MINUTE, places, policy), "it is never in a queue during quiet hours"
        n += 1
    waiting = moment
    while waiting < found:
        assert any(
            _quiet_for_some(waiting + k * MINUTE, places, policy) for k in range(int(MIN_VALIDITY / MINUTE) + 1)
        ), "no earlier minute is open"
        waiting += 7 * MINUTE


def _quiet_for_some(moment: datetime, places: Sequence[Place], policy: Policy) -> bool:
    return any(quiet(moment, place, policy) for place in places)


@pytest.mark.parametrize(
    ("day", "offset"),
    [(date(2026, 3, 28), 1), (date(2026, 3, 29), 2), (date(2026, 10, 24), 2), (date(2026, 10, 25), 1)],
)
def test_quiet_hours_end_at_eight_local_time_on_days_of_clock_changes(day: date, offset: int) -> None:
    night = datetime.combine(day, time(3, 30), ZoneInfo("Europe/Paris")).astimezone(UTC)
    found = open_from(night, [Place("Europe/Paris")], Policy())
    assert found == datetime.combine(day, time(8 - offset), UTC)


def test_without_quiet_hours_every_moment_is_open() -> None:
    policy = Policy(quiet_from=time(0), quiet_until=time(0))
    now = datetime(2026, 3, 2, 3, tzinfo=UTC)
    assert open_from(now, PLACES, policy) == now
    assert validity(now, PLACES, policy) == MAX_QUEUE_TIME


def test_if_quiet_hours_of_all_zones_cover_the_day_nothing_is_due() -> None:
    policy = Policy(quiet_from=time(12), quiet_until=time(11))
    assert due_at(datetime(2026, 3, 2, tzinfo=UTC), datetime(2026, 3, 2, tzinfo=UTC), PLACES, policy) is None


@given(MOMENTS, st.integers(-3_000, 3_000), st.integers(0, 600), SOME_PLACES)
def test_a_question_waits_after_the_delivery_and_is_never_due_in_the_past(
    now: datetime, ago: int, wait: int, places: list[Place]
) -> None:
    policy = Policy(ask_after=timedelta(minutes=wait), quiet_from=time(22), quiet_until=time(6))
    happened = now - ago * MINUTE
    found = due_at(happened, now, places, policy)
    if found is not None:
        assert found >= now
        assert found >= happened + policy.ask_after


def test_the_zone_of_the_contact_counts_then_of_the_order_then_those_of_the_policy() -> None:
    policy = Policy(zones=frozenset({"Europe/Paris", "America/New_York"}))
    assert places_of(Contact("ana", "receiver", timezone="Asia/Kolkata"), "UTC", policy) == {Place("Asia/Kolkata")}
    assert places_of(Contact("ana", "receiver"), "UTC", policy) == {Place("UTC")}
    places = places_of(None, None, policy)
    assert {place.zone for place in places} == policy.zones
    early = datetime(2026, 3, 2, 9, tzinfo=UTC)  # ten in Paris, four in New York
    assert open_from(early, places, policy) == datetime(2026, 3, 2, 13, tzinfo=UTC)


@pytest.mark.parametrize("text", ["20:00", "20-25:00", "", "8-20"])
def test_malformed_quiet_hours_are_refused(text: str) -> None:
    with pytest.raises(ValueError, match="20:00-08:00"):
        parse_hours(text)
