"""When a source has been silent for longer than its own past explains."""

from datetime import UTC, datetime, timedelta
from itertools import pairwise

from hypothesis import given
from hypothesis import strategies as st

from pipeline.domain.detection.source_silence import SHORTEST, Gap, Silence, silence_of, slot_of, start_of

MONDAY = datetime(2026, 3, 2, tzinfo=UTC)
FIRST = slot_of(MONDAY)
DAY = 96


def office(days: int, hours: tuple[int, int] = (8, 18)) -> list[int]:
    """Events every half hour of office hours, from Monday to Friday."""
    return [
        FIRST + day * DAY + slot for day in range(days) if day % 7 < 5 for slot in range(hours[0] * 4, hours[1] * 4, 2)
    ]


def judged(sent: list[int], now: int, awake: range | list[int] | None = None, *reported: Gap) -> Silence:
    running = range(FIRST, now + 1) if awake is None else awake
    return silence_of(sent, running, reported, sent[0], now)


def test_nights_and_weekends_are_in_a_sources_own_past() -> None:
    sent = office(54)  # until a Thursday evening
    silent_monday = FIRST + 56 * DAY + 8 * 4
    assert not judged(sent, silent_monday).is_implausible, "Friday may have been a holiday"
    found = judged(sent, sent[-1])
    assert found.limit is not None
    assert found.limit == 2 * (62 * 4 + 1), "twice from Friday 17:30 to Monday 8:00"
    assert judged(sent, sent[-1] + found.limit).is_implausible
    assert not judged(sent, sent[-1] + found.limit - 1).is_implausible
    assert judged(sent, sent[-1] + 2 * found.limit).is_long


def test_a_steady_source_may_pause_for_six_hours() -> None:
    sent = list(range(FIRST, FIRST + 40 * DAY))
    assert judged(sent, sent[-1]).limit == SHORTEST
    assert judged(sent, sent[-1] + SHORTEST).is_implausible


def test_the_time_in_which_nothing_was_running_is_no_silence() -> None:
    sent = list(range(FIRST, FIRST + 40 * DAY))
    back = sent[-1] + 5 * DAY
    awake = [*sent, *range(back, back + SHORTEST)]
    assert not judged(sent, back + SHORTEST - 2, awake).is_implausible
    assert judged(sent, back + SHORTEST - 1, awake).is_implausible


def test_a_reported_silence_is_no_part_of_the_past() -> None:
    sent = [slot for slot in range(FIRST, FIRST + 60 * DAY) if not 30 * DAY <= slot - FIRST < 40 * DAY]
    gap = Gap(FIRST + 30 * DAY, FIRST + 40 * DAY)
    assert judged(sent, sent[-1]).limit == 2 * 10 * DAY
    assert judged(sent, sent[-1], None, gap).limit == SHORTEST


def test_without_four_weeks_or_twenty_slots_nothing_is_known() -> None:
    assert judged(list(range(FIRST, FIRST + 27 * DAY)), FIRST + 60 * DAY).limit is None
    assert judged([FIRST + 7 * DAY * week for week in range(19)], FIRST + 400 * DAY).limit is None
    assert not judged([FIRST], FIRST + 400 * DAY).is_implausible


def test_a_slot_begins_every_quarter_of_an_hour() -> None:
    assert start_of(slot_of(MONDAY)) == MONDAY
    assert slot_of(MONDAY + timedelta(minutes=15)) == FIRST + 1
    assert slot_of(MONDAY + timedelta(minutes=14, seconds=59)) == FIRST


@given(st.sets(st.integers(0, 60 * DAY), min_size=30), st.integers(0, 10 * DAY))
def test_no_silence_up_to_twice_the_longest_of_the_past_is_reported(offsets: set[int], later: int) -> None:
    sent = sorted(FIRST + offset for offset in offsets)
    longest = max(after - before - 1 for before, after in pairwise(sent))
    found = judged(sent, sent[-1] + later)
    assert found.slots == later
    assert not found.is_implausible or later >= max(2 * longest, SHORTEST)
