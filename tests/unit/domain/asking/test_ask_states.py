"""The life of an ask: ranks, quiet hours in every zone and on days when the clocks change, due times and looks."""

from collections.abc import Sequence
from datetime import UTC, date, datetime, time, timedelta
from typing import get_args
from zoneinfo import ZoneInfo

import pytest
from hypothesis import given
from hypothesis import strategies as st

from pipeline.domain.asking.ask_states import LOOK_AFTER, RANK, TERMINAL, Outcome, State, before, next_look
from pipeline.domain.asking.policy import Policy
from pipeline.domain.asking.quiet_hours import (
    MAX_VALIDITY,
    MIN_VALIDITY,
    due_at,
    open_from,
    parse_hours,
    quiet,
    validity,
    zones_of,
)
from pipeline.domain.asking.send_decision import End, Go, Standing, Wait, before_sending
from pipeline.domain.events.contract import Purpose
from pipeline.notifiers.wording.languages import languages
from pipeline.notifiers.wording.questions import segments, sms

ZONES = ["UTC", "Europe/Paris", "America/New_York", "Asia/Kolkata", "Australia/Lord_Howe", "Pacific/Auckland"]
MINUTE = timedelta(minutes=1)
# Around every change of clocks of these zones in a year, and elsewhere.
MOMENTS = st.datetimes(datetime(2026, 1, 1), datetime(2026, 12, 31), timezones=st.just(UTC)).map(  # noqa: DTZ001
    lambda moment: moment.replace(second=0, microsecond=0)
)
CHANGES = st.sampled_from(
    [datetime(2026, 3, 29, 1, tzinfo=UTC), datetime(2026, 10, 25, 1, tzinfo=UTC), datetime(2026, 11, 1, 6, tzinfo=UTC)]
)
NEAR_A_CHANGE = st.builds(lambda change, n: change + n * MINUTE, CHANGES, st.integers(-1_500, 1_500))
TIMES = st.builds(time, st.integers(0, 23), st.sampled_from([0, 15, 30, 50]))
POLICIES = st.builds(lambda begin, end: Policy(quiet_from=begin, quiet_until=end), TIMES, TIMES)
SOME_ZONES = st.lists(st.sampled_from(ZONES), min_size=1, max_size=3, unique=True)


def follow(current: State, new: State) -> State:
    """The state after hearing `new`."""
    return new if current in before(new) else current


@given(st.lists(st.sampled_from(list(State)), max_size=12))
def test_no_news_in_whatever_order_takes_an_ask_back(news: Sequence[State]) -> None:
    state = State.DUE
    for said in news:
        after = follow(state, said)
        assert RANK[after] >= RANK[state]
        assert after in (state, said)
        assert follow(after, said) == after, "said twice, it counts once"
        state = after


def test_expiry_hides_no_earlier_end() -> None:
    for state in (State.UNRESOLVED, State.FAILED, State.NOT_ASKED, State.ANSWERED):
        assert follow(state, State.EXPIRED) is state
    assert follow(State.DELIVERED, State.EXPIRED) is State.EXPIRED
    assert before(State.ANSWERED) == set(State) - {State.ANSWERED}, "a late answer still counts"
    assert State.DELIVERED not in TERMINAL


@given(st.one_of(MOMENTS, NEAR_A_CHANGE), SOME_ZONES, POLICIES)
def test_a_message_goes_at_the_first_open_minute_and_is_gone_before_quiet_hours(
    moment: datetime, zones: list[str], policy: Policy
) -> None:
    found = open_from(moment, zones, policy)
    if found is None:
        # No stretch of two minutes is open for all within the next three days.
        for n in range(0, 3 * 24 * 60, 5):
            minute = moment + n * MINUTE
            later = minute + MIN_VALIDITY
            assert _quiet_for_some(minute, zones, policy) or _quiet_for_some(later, zones, policy)
        return
    assert found >= moment
    assert not _quiet_for_some(found, zones, policy)
    lies = validity(found, zones, policy)
    assert lies is not None
    assert MIN_VALIDITY <= lies <= MAX_VALIDITY
    n = 0
    while n * MINUTE < lies:
        assert not _quiet_for_some(found + n * MINUTE, zones, policy), "it never lies in a queue during quiet hours"
        n += 1
    waiting = moment
    while waiting < found:
        assert any(
            _quiet_for_some(waiting + k * MINUTE, zones, policy) for k in range(int(MIN_VALIDITY / MINUTE) + 1)
        ), "no earlier minute would have done"
        waiting += 7 * MINUTE


def _quiet_for_some(moment: datetime, zones: Sequence[str], policy: Policy) -> bool:
    return any(quiet(moment, name, policy) for name in zones)


@pytest.mark.parametrize(
    ("day", "offset"),
    [(date(2026, 3, 28), 1), (date(2026, 3, 29), 2), (date(2026, 10, 24), 2), (date(2026, 10, 25), 1)],
)
def test_the_night_ends_at_eight_on_the_wall_whatever_the_clocks_did(day: date, offset: int) -> None:
    night = datetime.combine(day, time(3, 30), ZoneInfo("Europe/Paris")).astimezone(UTC)
    found = open_from(night, ["Europe/Paris"], Policy())
    assert found == datetime.combine(day, time(8 - offset), UTC)


def test_without_quiet_hours_every_moment_is_open() -> None:
    policy = Policy(quiet_from=time(0), quiet_until=time(0))
    now = datetime(2026, 3, 2, 3, tzinfo=UTC)
    assert open_from(now, ZONES, policy) == now
    assert validity(now, ZONES, policy) == MAX_VALIDITY


def test_where_it_is_always_quiet_for_somebody_nothing_is_ever_due() -> None:
    policy = Policy(quiet_from=time(12), quiet_until=time(11))
    assert due_at(datetime(2026, 3, 2, tzinfo=UTC), datetime(2026, 3, 2, tzinfo=UTC), ZONES, policy) is None


@given(MOMENTS, st.integers(-3_000, 3_000), st.integers(0, 600), SOME_ZONES)
def test_a_question_waits_after_the_delivery_and_never_goes_back_in_time(
    now: datetime, ago: int, wait: int, zones: list[str]
) -> None:
    policy = Policy(ask_after=timedelta(minutes=wait), quiet_from=time(22), quiet_until=time(6))
    happened = now - ago * MINUTE
    found = due_at(happened, now, zones, policy)
    if found is not None:
        assert found >= now
        assert found >= happened + policy.ask_after


def test_whose_quiet_hours_count() -> None:
    policy = Policy(zones=frozenset({"Europe/Paris", "America/New_York"}))
    assert zones_of("Asia/Kolkata", "UTC", policy) == {"Asia/Kolkata"}
    assert zones_of(None, "UTC", policy) == {"UTC"}
    assert zones_of(None, None, policy) == policy.zones
    early = datetime(2026, 3, 2, 9, tzinfo=UTC)  # ten in Paris, four in New York
    assert open_from(early, policy.zones, policy) == datetime(2026, 3, 2, 13, tzinfo=UTC)


def test_a_message_of_unknown_outcome_is_looked_for_at_the_stated_times_and_then_given_up() -> None:
    sent = datetime(2026, 3, 2, 9, tzinfo=UTC)
    looks, now = [], sent
    while (look := next_look(sent, now)) is not None:
        looks.append(look - sent)
        now = look
    assert looks == list(LOOK_AFTER)
    assert [look / MINUTE for look in looks] == [1, 5, 15, 60, 240, 1440]
    assert next_look(sent, sent + timedelta(hours=2)) == sent + timedelta(hours=4), "looks missed are not made up for"


def test_everything_is_checked_again_before_the_first_byte_leaves() -> None:
    now = datetime(2026, 3, 2, 12, tzinfo=UTC)
    fine = Standing(now, willing=True, reachable=True, zones=frozenset({"UTC"}))
    assert before_sending(fine, Policy(), now) == Go(MAX_VALIDITY)
    assert before_sending(fine, Policy(), now.replace(hour=19)) == Go(timedelta(hours=1))
    late = now.replace(hour=19, minute=59)
    assert before_sending(fine, Policy(), late) == Wait(now.replace(day=3, hour=8)), "a minute is too short to be sent"
    unwilling = Standing(now, willing=False, reachable=True, zones=fine.zones)
    assert before_sending(unwilling, Policy(), now) == End(Outcome.OPTED_OUT)
    assert before_sending(fine, Policy(), now + timedelta(hours=48)) == End(Outcome.GIVEN_UP)
    nowhere = Standing(now, willing=True, reachable=False, zones=fine.zones)
    assert before_sending(nowhere, Policy(), now) == Wait(now + timedelta(hours=48)), "until it is given up"


@pytest.mark.parametrize("text", ["20:00", "20-25:00", "", "8-20"])
def test_quiet_hours_that_cannot_be_read_are_refused(text: str) -> None:
    with pytest.raises(ValueError, match="20:00-08:00"):
        parse_hours(text)


@pytest.mark.parametrize("language", languages())
@pytest.mark.parametrize("purpose", get_args(Purpose))
def test_a_question_is_one_segment_with_its_link_and_the_way_out(language: str, purpose: Purpose) -> None:
    link = "https://ask.example.com/f/" + "A" * 22
    text = sms(language, purpose, "Acme", "SO-10010", link)
    assert link in text
    assert "STOP" in text
    assert "SO-10010" in text
    assert segments(text) == 1, (len(text), text)


def test_an_order_number_cannot_smuggle_anything_into_a_message() -> None:
    text = sms("xx", "delivery", "Acme", "http://evil.example/\nCall +1 900 {{ 7*7 }} 🙂", "https://a.example/f/x")
    assert "//evil" not in text
    assert "\n" not in text
    assert "🙂" not in text
    assert segments(text) == 1


def test_a_text_outside_the_alphabet_is_counted_as_it_is_charged() -> None:
    assert segments("é" * 160) == 1
    assert segments("€" * 81) == 2
    assert segments("ç" * 71) == 2
    assert segments("🙂" * 35) == 1
