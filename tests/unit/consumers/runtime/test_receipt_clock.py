"""The time of receipt never comes from a clock that has jumped."""

from datetime import UTC, datetime, timedelta

import pytest
from hypothesis import given
from hypothesis import strategies as st

from pipeline.consumers.runtime import receipt_clock
from pipeline.consumers.runtime.receipt_clock import ReceiptClock
from pipeline.domain.events.receipt_time import MAX_STEP, TOLERANCE
from pipeline.errors import ClockSuspect
from tests.support.builders import MONDAY
from tests.support.running.machine import DECADES, Machine

SECOND = timedelta(seconds=1)
JUMPS = [
    TOLERANCE + SECOND,
    timedelta(hours=3),
    DECADES,
    -TOLERANCE - SECOND,
    -timedelta(hours=3),
    -timedelta(days=20_000),
]


@pytest.mark.parametrize("jump", JUMPS, ids=str)
def test_nothing_is_stamped_after_a_jump_and_the_clock_is_used_again_once_it_is_right(jump: timedelta) -> None:
    machine = Machine()
    clock = machine.clock()
    assert clock() == MONDAY
    machine.error = jump
    for _ in range(3):
        machine.now += timedelta(hours=1)
        with pytest.raises(ClockSuspect, match=r"has jumped (ahead|back) by .*; if it is right, run"):
            clock()
    machine.error = timedelta(0)
    assert clock() == machine.now
    assert clock.problems() == []


@pytest.mark.parametrize("jump", [TOLERANCE, -TOLERANCE, timedelta(minutes=-3)], ids=str)
def test_a_small_correction_is_no_jump_and_receipts_do_not_run_backwards(jump: timedelta) -> None:
    machine = Machine()
    clock = machine.clock()
    machine.error = jump
    assert clock() == MONDAY + max(jump, timedelta(0))
    machine.now += timedelta(hours=1)
    assert clock() == machine.now + jump


def test_time_passes_without_receipts() -> None:
    machine = Machine()
    clock = machine.clock()
    machine.now += timedelta(days=400)
    assert clock() == machine.now


@pytest.mark.parametrize("step", [MAX_STEP, -MAX_STEP], ids=str)
def test_a_start_within_two_days_of_the_newest_receipt_needs_no_agreement(step: timedelta) -> None:
    clock = Machine(MONDAY + step).clock()
    clock.start_after(MONDAY)
    assert clock() == max(MONDAY, MONDAY + step), "receipts do not run backwards"
    assert clock.held == (step < timedelta(0))


@pytest.mark.parametrize("step", [MAX_STEP + SECOND, DECADES, -MAX_STEP - SECOND, -DECADES], ids=str)
def test_a_larger_step_is_suspect_until_it_is_accepted(step: timedelta) -> None:
    machine = Machine(MONDAY + step)
    clock = machine.clock()
    clock.start_after(MONDAY)
    with pytest.raises(ClockSuspect, match=r"(ahead of|behind) the newest receipt on record, 2026-03-02T"):
        clock()
    clock.accept()
    assert clock() == machine.now
    machine.now += timedelta(minutes=1)
    assert clock() == machine.now


def test_a_clock_that_is_set_right_after_the_start_is_believed() -> None:
    machine = Machine()
    machine.error = DECADES
    clock = machine.clock()
    clock.start_after(MONDAY - timedelta(hours=1))
    assert clock.problems()
    machine.error = timedelta(0)
    assert clock() == machine.now
    machine.error = timedelta(hours=1)
    assert clock.problems(), "from now on it knows the time that has passed"


def test_the_time_that_has_passed_counts_from_the_newest_record() -> None:
    machine = Machine()
    clock = machine.clock()
    machine.error = timedelta(minutes=8)
    clock.confirm(clock())
    machine.error = timedelta(minutes=16)
    assert clock() == machine.now + machine.error
    machine.error = timedelta(minutes=19)
    assert clock.problems()


_ERRORS = st.sampled_from([timedelta(0)] * 3 + [timedelta(minutes=4), timedelta(minutes=-4), *JUMPS[1:3], *JUMPS[4:]])
_STEPS = st.lists(st.tuples(st.timedeltas(timedelta(0), timedelta(hours=30)), _ERRORS, st.booleans()), max_size=40)


@given(_STEPS)
def test_whatever_the_clock_does_a_receipt_is_close_to_the_true_time_and_never_before_another(
    steps: list[tuple[timedelta, timedelta, bool]],
) -> None:
    machine = Machine()
    clock = machine.clock()
    newest = machine.now
    for passed, error, recorded in steps:
        machine.now += passed
        machine.error = error
        try:
            receipt = clock()
        except ClockSuspect:
            assert abs(error) > timedelta(minutes=5), "a clock that is right is never suspect"
            continue
        assert receipt >= newest
        assert abs(receipt - machine.now) <= TOLERANCE + timedelta(minutes=8)
        newest = receipt
        if recorded:
            clock.confirm(receipt)


def test_the_uptime_counts_seconds_also_where_the_system_does_not_show_it(monkeypatch: pytest.MonkeyPatch) -> None:
    first = receipt_clock.uptime()
    assert receipt_clock.uptime() >= first > 0

    def _missing(*_: object, **__: object) -> None:
        raise FileNotFoundError

    monkeypatch.setattr("builtins.open", _missing)
    assert receipt_clock.uptime() > 0


def test_by_default_it_is_this_machines_clock() -> None:
    assert abs(ReceiptClock()() - datetime.now(UTC)) < timedelta(minutes=1)
