"""A process that starts compares its clock with the newest receipt on record, and asks others if it doubts it."""

import logging
from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest
from sqlalchemy import Engine
from sqlalchemy.exc import OperationalError

from pipeline.consumers.runtime.embedded import EmbeddedRunner
from pipeline.consumers.runtime.receipt_clock import ClockWatch, ReceiptClock, open_clock, record
from pipeline.store.db.engine import reading
from pipeline.store.journal import receipt_mark, state
from pipeline.store.journal.state import CLOCK, clock_of
from tests.support.builders import at, completed
from tests.support.provider import Provider
from tests.support.running.embedded import ingest
from tests.support.running.machine import DECADES, Machine
from tests.support.running.sending import twilio
from tests.support.stored import HISTORIC

LONG_AGO = timedelta(days=3)


@pytest.fixture
def engine(runtime: EmbeddedRunner) -> Engine:
    return runtime.engine


@pytest.fixture
def machine() -> Machine:
    """A machine with the true time, which is also that of the database server."""
    return Machine(datetime.now(UTC))


def started(engine: Engine, machine: Machine) -> ReceiptClock:
    return open_clock(engine, machine.clock())


def recorded(engine: Engine) -> datetime | None:
    with reading(engine) as connection:
        return receipt_mark.newest(connection, datetime.now(UTC))


def accept(engine: Engine, machine: Machine) -> None:
    with engine.begin() as connection:
        receipt_mark.accept(connection, machine.now + machine.error)


def was_recorded(engine: Engine, machine: Machine) -> None:
    record(engine, machine.clock())


def test_a_first_start_has_nothing_to_compare_with(engine: Engine, machine: Machine) -> None:
    machine.error = DECADES
    assert started(engine, machine).problems() == []


def test_a_history_that_was_replayed_does_not_count(runtime: EmbeddedRunner, machine: Machine) -> None:
    ingest(runtime, completed(time=at(days=-3_000), **HISTORIC))
    assert started(runtime.engine, machine).problems() == []


def test_idle_days_of_a_running_process_do_not_count(engine: Engine, machine: Machine) -> None:
    machine.now -= timedelta(days=30)
    clock = started(engine, machine)
    watch = ClockWatch(engine, clock)
    watch.check()
    machine.now += timedelta(days=30)
    watch._record_at = 0
    watch.check()
    assert recorded(engine) == machine.now
    assert started(engine, machine).problems() == []


@pytest.mark.parametrize("error", [DECADES, -DECADES], ids=str)
def test_a_start_with_a_wrong_clock_is_noticed_also_after_a_restart(
    engine: Engine, machine: Machine, error: timedelta
) -> None:
    was_recorded(engine, machine)
    machine.error = error
    for _ in range(2):
        clock = started(engine, machine)
        ClockWatch(engine, clock).check()
        assert "newest receipt on record" in clock.problems()[0]
    machine.error = timedelta(0)
    assert clock() == machine.now
    assert recorded(engine) == machine.now, "the wrong time was not recorded"


def test_after_days_without_a_process_the_database_servers_clock_decides(engine: Engine, machine: Machine) -> None:
    machine.now -= LONG_AGO
    was_recorded(engine, machine)
    machine.now += LONG_AGO
    clock = started(engine, machine)
    assert bool(clock.problems()) == (engine.dialect.name == "sqlite"), "SQLite has no second clock"


def test_the_providers_clock_decides(engine: Engine, machine: Machine, tmp_path: Path) -> None:
    machine.now -= LONG_AGO
    was_recorded(engine, machine)
    machine.now += LONG_AGO
    with Provider(tmp_path / "posts") as provider:
        clocks = [twilio(provider.url, 5).time, twilio("http://127.0.0.1:1").time]
        right = started(engine, machine)
        ClockWatch(engine, right, clocks[::-1]).check()
        assert right() == machine.now
        machine.error = DECADES
        wrong = started(engine, machine)
        ClockWatch(engine, wrong, clocks).check()
        assert wrong.problems()


def test_the_database_servers_clock_does_not_excuse_a_jump(engine: Engine, machine: Machine) -> None:
    """It may run on the same machine and have jumped, too."""
    machine.now -= LONG_AGO
    clock = started(engine, machine)
    machine.error = LONG_AGO
    ClockWatch(engine, clock).check()
    assert "has jumped" in clock.problems()[0]


@pytest.mark.parametrize("at_start", [True, False], ids=["at the start", "later"])
def test_an_operator_accepts_the_clock_of_a_running_process(
    engine: Engine, machine: Machine, at_start: bool, caplog: pytest.LogCaptureFixture
) -> None:
    machine.now += timedelta(days=4_000)  # no other clock agrees
    was_recorded(engine, machine)
    clock = started(engine, machine)
    machine.now += timedelta(0) if at_start else timedelta(hours=1)
    machine.error = LONG_AGO
    clock = started(engine, machine) if at_start else clock
    watch = ClockWatch(engine, clock)
    with caplog.at_level(logging.WARNING):
        watch.check()
        assert clock.problems()
        accept(engine, machine)
        watch.check()
        watch.check()
    assert clock() == machine.now + LONG_AGO
    assert [r.levelname for r in caplog.records] == ["CRITICAL", "WARNING"], "said once, and once that it is over"
    assert started(engine, machine).problems() == []


def test_an_installation_that_a_wrong_clock_left_in_the_future_goes_on_once_the_clock_is_accepted(
    runtime: EmbeddedRunner, machine: Machine
) -> None:
    """Earlier versions stored whatever the clock showed."""
    future = machine.now + DECADES
    with runtime.engine.begin() as connection:
        state.put(connection, CLOCK, state.as_text(future))
    clock = started(runtime.engine, machine)
    if runtime.engine.dialect.name == "sqlite":
        assert "behind the newest receipt" in clock.problems()[0]
        accept(runtime.engine, machine)
        clock = started(runtime.engine, machine)
    assert clock() == machine.now
    with reading(runtime.engine) as connection:
        assert clock_of(connection) == machine.now, "timers and questions count from the true time again"


def test_a_database_that_is_unavailable_ends_nothing(machine: Machine, engine: Engine) -> None:
    clock = started(engine, machine)

    class _Unavailable:
        def begin(self) -> Iterator[None]:
            raise OperationalError("", None, ConnectionError())

    watch = ClockWatch(_Unavailable(), clock)  # type: ignore[arg-type]
    with pytest.raises(OperationalError):
        watch.check()
    watch.start()
    watch.stop()
    assert watch.ended.result(0) is None
