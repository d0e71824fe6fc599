"""The writer: many callers, one transaction, each told what became of their own events."""

import threading
from collections.abc import Callable

import pytest
from sqlalchemy.exc import OperationalError

from pipeline.consumers.embedded import Embedded
from pipeline.consumers.intake import Incoming, Taken
from pipeline.consumers.runtime.write_queue import Bounds, Busy, Stopped, Unavailable
from pipeline.store.schema.tables import asks, orders
from tests.support.builders import at
from tests.support.running.writing import SECONDS, busy, order, writing
from tests.support.stored import rows


def test_whatever_waits_is_written_in_one_transaction(runtime: Embedded) -> None:
    with writing(runtime, is_open=False) as (writer, gate):
        busy(writer, gate)
        futures = [writer.submit(order(n)) for n in range(1, 40)]
        gate.open.set()
        assert {future.result(SECONDS) for future in futures} == {Taken(1, 0, 0)}
        assert gate.groups == [1, 39]
    assert len(rows(runtime, orders)) == 40


def test_each_caller_hears_of_their_own_events(runtime: Embedded) -> None:
    with writing(runtime, is_open=False) as (writer, gate):
        busy(writer, gate)
        broken = Incoming(b"{", None, "test:1")
        batches = [order(1) + order(2), [*order(2), *order(3), broken], [], order(0), order(3) + order(3), [broken]]
        futures = [writer.submit(batch) for batch in batches]
        gate.open.set()
        assert [future.result(SECONDS) for future in futures] == [
            Taken(2, 0, 0),
            Taken(1, 1, 1),
            Taken(0, 0, 0),
            Taken(0, 1, 0),
            Taken(0, 2, 0),
            Taken(0, 0, 1),
        ]


def test_a_transaction_takes_as_many_as_fit_and_cuts_nobody_in_two(runtime: Embedded) -> None:
    with writing(runtime, Bounds(3, 1_000, 1 << 20), is_open=False) as (writer, gate):
        busy(writer, gate)
        sizes = (1, 1, 1, 2, 5, 1)
        futures = [writer.submit([i for k in range(n) for i in order(100 * c + k)]) for c, n in enumerate(sizes, 1)]
        gate.open.set()
        assert sum(future.result(SECONDS).new for future in futures) == sum(sizes)
        assert gate.groups == [1, 3, 1, 1, 1]


@pytest.mark.parametrize("bounds", [Bounds(100, 3, 1 << 20), Bounds(100, 1_000, 1_500)])
def test_too_much_waiting_is_refused_at_once_and_taken_later(runtime: Embedded, bounds: Bounds) -> None:
    with writing(runtime, bounds, is_open=False) as (writer, gate):
        busy(writer, gate)
        waiting = [writer.submit(order(n)) for n in range(1, 4)]
        with pytest.raises(Busy):
            writer.submit(order(4))
        gate.open.set()
        for future in waiting:
            future.result(SECONDS)
        assert writer.submit(order(4)).result(SECONDS) == Taken(1, 0, 0)
        enormous = [item for n in range(10, 20) for item in order(n)]
        assert writer.submit(enormous).result(SECONDS).new == 10, "alone, a batch larger than the queue goes through"


def test_stopping_finishes_what_was_accepted_and_takes_no_more(runtime: Embedded) -> None:
    with writing(runtime, is_open=False) as (writer, gate):
        busy(writer, gate)
        futures = [writer.submit(order(n)) for n in range(1, 20)]
        stopping = threading.Thread(target=writer.stop)
        stopping.start()
        gate.open.set()
        stopping.join(SECONDS)
        assert all(future.result(0) == Taken(1, 0, 0) for future in futures)
        assert not writer.alive
        assert writer.ended.exception(0) is None
        with pytest.raises(Stopped):
            writer.submit(order(20))


def test_a_bug_fails_everybody_who_waits_and_ends_the_writer(
    runtime: Embedded, caplog: pytest.LogCaptureFixture
) -> None:
    with writing(runtime, is_open=False) as (writer, gate):
        gate.trouble.append(KeyError("+447700900123"))
        first = writer.submit(order(0))
        assert gate.arrived.acquire(timeout=SECONDS)
        second = writer.submit(order(1))
        gate.open.set()
        for future in (first, second):
            assert isinstance(future.exception(SECONDS), Stopped)
        assert isinstance(writer.ended.exception(SECONDS), KeyError)
        assert not writer.alive
        with pytest.raises(Stopped):
            writer.submit(order(2))
    assert "KeyError" in caplog.text
    assert "447700900123" not in caplog.text, "an error's message may hold what an event said"
    assert rows(runtime, orders) == []


def test_trouble_that_passes_fails_the_calls_it_touched_and_is_over(runtime: Embedded) -> None:
    with writing(runtime) as (writer, gate):
        gate.trouble.append(OperationalError("", {}, Exception("away")))
        assert isinstance(writer.submit(order(0)).exception(SECONDS), Unavailable)
        assert writer.alive
        assert writer.submit(order(0)).result(SECONDS) == Taken(1, 0, 0)
        assert not writer.away


def test_a_caller_who_left_before_their_turn_is_left_out(runtime: Embedded) -> None:
    with writing(runtime, is_open=False) as (writer, gate):
        busy(writer, gate)
        gone, stayed = writer.submit(order(1)), writer.submit(order(2))
        assert gone.cancel()
        gate.open.set()
        assert stayed.result(SECONDS) == Taken(1, 0, 0)
    assert {row["order_id"] for row in rows(runtime, orders)} == {"SO-0", "SO-2"}


def test_the_clock_goes_on_without_events(runtime: Embedded) -> None:
    runtime.runner.absorb(order(1))
    with writing(runtime, now=at(hours=27)) as (_, gate):
        assert gate.ticks.acquire(timeout=SECONDS)
    assert rows(runtime, asks)[0]["purpose"] == "missing_scan"


def test_what_an_earlier_process_stored_comes_first(start: Callable[..., Embedded]) -> None:
    runtime = start()
    runtime.runner._store(order(1))  # and was killed before it was processed
    assert rows(runtime, orders) == []
    with writing(start()) as (writer, _):
        writer.submit(order(2)).result(SECONDS)
    assert len(rows(runtime, orders)) == 2


def test_how_long_the_oldest_has_waited_can_be_asked(runtime: Embedded) -> None:
    with writing(runtime, is_open=False) as (writer, gate):
        assert writer.behind == 0
        busy(writer, gate)
        assert writer.behind > 0
        gate.open.set()
