"""A write queue that tests can block."""

import threading
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from datetime import datetime

from pipeline.consumers.intake import Incoming, IngestResult
from pipeline.consumers.runtime.embedded import EmbeddedRunner
from pipeline.consumers.runtime.write_queue import QueueLimits, WriteQueue
from tests.support.builders import at, completed
from tests.support.limits import PATIENCE
from tests.support.running.embedded import incoming

BOUNDS = QueueLimits(batch_size=100, waiting_events=1_000, waiting_bytes=1 << 20)


class Gate:
    """A runner that waits for `open`, counts its transactions, and fails on demand."""

    def __init__(self, runner: EmbeddedRunner) -> None:
        self._runner = runner
        self.open = threading.Event()
        self.arrived = threading.Semaphore(0)
        self.ticks = threading.Semaphore(0)
        self.groups: list[int] = []  # the callers served by each transaction
        self.failures: list[Exception] = []

    def store_batches(self, batches: Sequence[Sequence[Incoming]]) -> list[IngestResult]:
        self.arrived.release()
        assert self.open.wait(PATIENCE)
        if self.failures:
            raise self.failures.pop(0)
        self.groups.append(len(batches))
        return self._runner.store_batches(batches)

    def process_pending(self) -> int:
        return self._runner.process_pending()

    def tick(self, now: datetime) -> None:
        self._runner.tick(now)
        self.ticks.release()


@contextmanager
def writing(
    runtime: EmbeddedRunner, bounds: QueueLimits = BOUNDS, now: datetime | None = None, is_open: bool = True
) -> Iterator[tuple[WriteQueue, Gate]]:
    gate = Gate(runtime)
    writer = WriteQueue(gate, bounds, lambda: now or at())
    if is_open:
        gate.open.set()
    writer.start()
    try:
        yield writer, gate
    finally:
        gate.open.set()
        writer.stop()


def order(number: int) -> list[Incoming]:
    return [incoming(completed(f"SO-{number}"), at())]


def busy(writer: WriteQueue, gate: Gate) -> None:
    """Block the queue with a batch at the gate."""
    writer.submit(order(0))
    assert gate.arrived.acquire(timeout=PATIENCE)
