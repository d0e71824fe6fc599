"""The write queue: many callers, one transaction, and each gets the result of its own events."""

import threading
from collections.abc import Callable

import pytest
from sqlalchemy.exc import OperationalError

from pipeline.consumers.intake import Incoming, IngestResult, ingest_unprocessed
from pipeline.consumers.runtime.embedded import EmbeddedRunner
from pipeline.consumers.runtime.write_queue import Busy, QueueLimits, Stopped, Unavailable
from pipeline.store.schema.asks import asks
from pipeline.store.schema.orders import orders
from tests.support.builders import at
from tests.support.limits import PATIENCE
from tests.support.running.writing import busy, order, writing
from tests.support.stored import rows


def test_all_waiting_batches_are_written_in_one_transaction(runtime: EmbeddedRunner) -> None:
    with writing(runtime, is_open=False) as (writer, gate):
        busy(writer, gate)
        futures = [writer.submit(order(n)) for n in range(1, 40)]
        gate.open.set()
        assert {future.result(PATIENCE) for future in futures} == {IngestResult(1, 0, 0)}
        assert gate.groups == [1, 39]
    assert len(rows(runtime, orders)) == 40


def test_each_caller_gets_the_result_of_its_own_events(runtime: EmbeddedRunner) -> None:
    with writing(runtime, is_open=False) as (writer, gate):
        busy(writer, gate)
        broken = Incoming(b"{", None, "test:1")
        batches = [order(1) + order(2), [*order(2), *order(3), broken], [], order(0), order(3) + order(3), [broken]]
        futures = [writer.submit(batch) for batch in batches]
        gate.open.set()
        assert [future.result(PATIENCE) for future in futures] == [
            IngestResult(2, 0, 0),
            IngestResult(1, 1, 1),
            IngestResult(0, 0, 0),
            IngestResult(0, 1, 0),
            IngestResult(0, 2, 0),
            IngestResult(0, 0, 1),
        ]


def test_a_transaction_contains_as_many_whole_batches_as_fit(runtime: EmbeddedRunner) -> None:
    with writing(runtime, QueueLimits(3, 1_000, 1 << 20), is_open=False) as (writer, gate):
        busy(writer, gate)
        sizes = (1, 1, 1, 2, 5, 1)
        futures = [writer.submit([i for k in range(n) for i in order(100 * c + k)]) for c, n in enumerate(sizes, 1)]
        gate.open.set()
        assert sum(future.result(PATIENCE).new for future in futures) == sum(sizes)
        assert gate.groups == [1, 3, 1, 1, 1]


@pytest.mark.parametrize("bounds", [QueueLimits(100, 3, 1 << 20), QueueLimits(100, 1_000, 1_500)])
def test_a_full_queue_refuses_at_once_and_accepts_later(runtime: EmbeddedRunner, bounds: QueueLimits) -> None:
    with writing(runtime, bounds, is_open=False) as (writer, gate):
        busy(writer, gate)
        waiting = [writer.submit(order(n)) for n in range(1, 4)]
        with pytest.raises(Busy):
            writer.submit(order(4))
        gate.open.set()
        for future in waiting:
            future.result(PATIENCE)
        assert writer.submit(order(4)).result(PATIENCE) == IngestResult(1, 0, 0)
        enormous = [item for n in range(10, 20) for item in order(n)]
        assert writer.submit(enormous).result(PATIENCE).new == 10, "alone, a batch larger than the queue goes through"


def test_a_stopped_queue_writes_what_it_accepted_and_accepts_no_more(runtime: EmbeddedRunner) -> None:
    with writing(runtime, is_open=False) as (writer, gate):
        busy(writer, gate)
        futures = [writer.submit(order(n)) for n in range(1, 20)]
        stopping = threading.Thread(target=writer.stop)
        stopping.start()
        gate.open.set()
        stopping.join(PATIENCE)
        assert all(future.result(0) == IngestResult(1, 0, 0) for future in futures)
        assert not writer.alive
        assert writer.ended.exception(0) is None
        with pytest.raises(Stopped):
            writer.submit(order(20))


def test_a_bug_fails_all_waiting_batches_and_ends_the_queue(
    runtime: EmbeddedRunner, caplog: pytest.LogCaptureFixture
) -> None:
    with writing(runtime, is_open=False) as (writer, gate):
        gate.failures.append(KeyError("+447700900123"))
        first = writer.submit(order(0))
        assert gate.arrived.acquire(timeout=PATIENCE)
        second = writer.submit(order(1))
        gate.open.set()
        for future in (first, second):
            assert isinstance(future.exception(PATIENCE), Stopped)
        assert isinstance(writer.ended.exception(PATIENCE), KeyError)
        assert not writer.alive
        with pytest.raises(Stopped):
            writer.submit(order(2))
    assert "KeyError" in caplog.text
    assert "447700900123" not in caplog.text, "the message of an error may contain parts of an event"
    assert rows(runtime, orders) == []


def test_a_transient_failure_fails_only_the_batches_it_concerns(runtime: EmbeddedRunner) -> None:
    with writing(runtime) as (writer, gate):
        gate.failures.append(OperationalError("", {}, Exception("away")))
        assert isinstance(writer.submit(order(0)).exception(PATIENCE), Unavailable)
        assert writer.alive
        assert writer.submit(order(0)).result(PATIENCE) == IngestResult(1, 0, 0)
        assert not writer.unavailable


def test_a_cancelled_batch_is_not_written(runtime: EmbeddedRunner) -> None:
    with writing(runtime, is_open=False) as (writer, gate):
        busy(writer, gate)
        gone, stayed = writer.submit(order(1)), writer.submit(order(2))
        assert gone.cancel()
        gate.open.set()
        assert stayed.result(PATIENCE) == IngestResult(1, 0, 0)
    assert {row["order_id"] for row in rows(runtime, orders)} == {"SO-0", "SO-2"}


def test_timers_fire_without_events(runtime: EmbeddedRunner) -> None:
    runtime.ingest(order(1))
    with writing(runtime, now=at(hours=27)) as (_, gate):
        assert gate.ticks.acquire(timeout=PATIENCE)
    assert rows(runtime, asks)[0]["purpose"] == "missing_scan"


def test_events_stored_by_an_earlier_process_are_processed_first(start: Callable[..., EmbeddedRunner]) -> None:
    runtime = start()
    ingest_unprocessed(runtime.store, order(1))  # and was killed before it was processed
    assert rows(runtime, orders) == []
    with writing(start()) as (writer, _):
        writer.submit(order(2)).result(PATIENCE)
    assert len(rows(runtime, orders)) == 2


def test_the_longest_wait_is_measured(runtime: EmbeddedRunner) -> None:
    with writing(runtime, is_open=False) as (writer, gate):
        assert writer.longest_wait == 0
        busy(writer, gate)
        assert writer.longest_wait > 0
        gate.open.set()
