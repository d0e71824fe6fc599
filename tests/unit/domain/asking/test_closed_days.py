"""Closed days: nothing is sent on a holiday or excluded weekday of the recipient's country, and nothing is lost."""

from collections.abc import Collection
from datetime import UTC, date, datetime, time, timedelta
from zoneinfo import ZoneInfo

import pytest
from hypothesis import example, given
from hypothesis import strategies as st

from pipeline.domain.asking.ask_states import SendOutcome
from pipeline.domain.asking.calendars import Place
from pipeline.domain.asking.channels import SMS
from pipeline.domain.asking.policy import Policy
from pipeline.domain.asking.quiet_hours import MAX_CLOSED, give_up_at, open_from, places_of, quiet, validity
from pipeline.domain.asking.send_decision import End, Go, SendEligibility, Wait, before_sending
from pipeline.domain.events.contract import Consent, Contact
from pipeline.notifiers.countries import calendar

MINUTE = timedelta(minutes=1)
CALENDAR = calendar()
POLICY = Policy(calendar=CALENDAR)
PARIS = Place("Europe/Paris", "FR")
PLACES = [
    PARIS,
    Place("America/New_York", "US"),
    Place("Asia/Kolkata", "IN"),
    Place("Asia/Shanghai", "CN"),
    Place("Australia/Lord_Howe", "AU"),
    Place("America/Santiago", "CL"),  # its clocks change at midnight
    Place("UTC"),
]
SOME_PLACES = st.frozensets(st.sampled_from(PLACES), min_size=1, max_size=2)
MOMENTS = st.datetimes(datetime(2025, 1, 1), datetime(2027, 12, 1), timezones=st.just(UTC))  # noqa: DTZ001
HOURS = st.sampled_from([(time(20), time(8)), (time(22), time(7, 30)), (time(0), time(0)), (time(12), time(14))])
GOLDEN_WEEK = datetime(2025, 9, 30, 16, tzinfo=UTC)  # midnight in Shanghai: eight closed days begin


@given(MOMENTS, SOME_PLACES, HOURS)
@example(GOLDEN_WEEK, frozenset({Place("Asia/Shanghai", "CN")}), (time(20), time(8)))
@example(datetime(2026, 9, 6, 3, tzinfo=UTC), frozenset({Place("America/Santiago", "CL")}), (time(0), time(0)))
def test_a_message_is_never_under_way_on_a_closed_day_and_never_waits_for_long(
    moment: datetime, places: frozenset[Place], hours: tuple[time, time]
) -> None:
    policy = Policy(calendar=CALENDAR, quiet_from=hours[0], quiet_until=hours[1])
    found = open_from(moment, places, policy)
    if found is None:  # two places whose open hours never meet, whatever the day
        assert open_from(moment, places, Policy(quiet_from=hours[0], quiet_until=hours[1])) is None
        return
    assert moment <= found <= moment + MAX_CLOSED + timedelta(days=3)
    valid_for = validity(found, places, policy)
    assert valid_for is not None
    for n in range(0, int(valid_for / MINUTE), 5):
        assert not _must_be_silent(found + n * MINUTE, places, policy)
    assert not _must_be_silent(found + valid_for - MINUTE / 2, places, policy)
    waiting = moment
    while waiting < found:
        silent = any(_must_be_silent(waiting + n * MINUTE, places, policy) for n in range(3))
        assert silent, "no earlier minute is open"
        waiting += 47 * MINUTE


def _must_be_silent(moment: datetime, places: Collection[Place], policy: Policy) -> bool:
    """Read from the calendar day by day, without the search for edges."""
    local = [(moment.astimezone(ZoneInfo(place.zone)), place) for place in places]
    closed = any(place.country and CALENDAR.is_closed(place.country, at.date()) for at, place in local)
    return closed or any(quiet(moment, Place(place.zone), policy) for place in places)


@given(MOMENTS, st.sampled_from(PLACES))
@example(datetime(2026, 4, 4, 18, tzinfo=UTC), PARIS)  # the evening before Easter Sunday and Easter Monday
@example(GOLDEN_WEEK - timedelta(hours=4), Place("Asia/Shanghai", "CN"))
def test_no_question_is_given_up_because_of_closed_days(decided_at: datetime, place: Place) -> None:
    now, places = decided_at, frozenset({place})
    for _ in range(3):
        decision = before_sending(_due(decided_at, places), POLICY, now)
        if isinstance(decision, Go):
            break
        assert isinstance(decision, Wait)
        assert decision.until > now
        now = decision.until
    assert isinstance(decision, Go)
    assert now - decided_at < MAX_CLOSED + POLICY.send_within


def _due(decided_at: datetime, places: frozenset[Place]) -> SendEligibility:
    ana = Contact("ana", "receiver", phone="digest", consent=Consent(sms=True))
    return SendEligibility(decided_at, ana, SMS, "digest", opted_out=False, places=places)


def test_hours_of_closed_days_are_not_counted_before_a_question_is_given_up() -> None:
    friday = datetime(2026, 4, 3, 12, tzinfo=UTC)  # Good Friday is a working day in France
    end = friday + timedelta(hours=96)  # 48 hours and the two days of Easter
    assert give_up_at(friday, {PARIS}, POLICY) == end
    assert give_up_at(friday, {Place("UTC")}, POLICY) == friday + timedelta(hours=48)
    assert before_sending(_due(friday, frozenset({PARIS})), POLICY, end) == End(SendOutcome.GIVEN_UP)


def test_a_message_expires_before_a_closed_day_begins_where_there_are_no_quiet_hours() -> None:
    policy = Policy(calendar=CALENDAR, quiet_from=time(0), quiet_until=time(0))
    saturday = datetime(2026, 3, 7, 21, tzinfo=UTC)  # 22:00 in Paris
    assert validity(saturday, {PARIS}, policy) == timedelta(hours=2)
    assert open_from(saturday + timedelta(hours=2), {PARIS}, policy) == saturday + timedelta(hours=26)


@pytest.mark.parametrize(
    ("place", "day", "closed"),
    [
        (PARIS, date(2026, 3, 8), True),  # a Sunday
        (PARIS, date(2026, 7, 14), True),
        (Place("Europe/Berlin", "DE"), date(2026, 3, 8), False),
        (Place("Europe/Berlin", "DE"), date(2026, 7, 14), False),
        (Place("Europe/Berlin", "XX"), date(2026, 12, 25), False),
        (Place("Europe/Berlin"), date(2026, 12, 25), False),
    ],
)
def test_days_are_closed_by_the_country_of_the_recipient(place: Place, day: date, closed: bool) -> None:
    noon = datetime.combine(day, time(12), ZoneInfo(place.zone))
    assert quiet(noon, place, POLICY) is closed
    assert not quiet(noon, place, Policy()), "without a calendar every day is open"


def test_the_country_of_the_contact_counts_then_that_of_the_zone_and_all_that_are_possible_apply() -> None:
    abroad = Contact("ana", "receiver", country="FR", timezone="Europe/Berlin")
    assert places_of(abroad, "UTC", POLICY) == {Place("Europe/Berlin", "FR")}
    assert places_of(Contact("ana", "receiver"), "Asia/Calcutta", POLICY) == {Place("Asia/Calcutta", "IN")}
    assert places_of(None, "UTC", POLICY) == {Place("UTC")}
    unknown = Policy(calendar=CALENDAR, zones=frozenset({"Europe/Paris", "Europe/Berlin"}))
    either = places_of(None, None, unknown)
    assert either == {PARIS, Place("Europe/Berlin", "DE")}
    assert open_from(datetime(2026, 3, 8, 12, tzinfo=UTC), either, unknown) == datetime(2026, 3, 9, 7, tzinfo=UTC)
