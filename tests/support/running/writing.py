"""A write queue that tests can hold up."""

import threading
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from datetime import datetime

from pipeline.consumers.embedded import Embedded
from pipeline.consumers.intake import Incoming, Taken
from pipeline.consumers.runtime.embedded import Runner
from pipeline.consumers.runtime.write_queue import Bounds, Writer
from tests.support.builders import at, completed, incoming

BOUNDS = Bounds(batch=100, waiting_events=1_000, waiting_bytes=1 << 20)
SECONDS = 30  # until a test gives up


class Gate:
    """A runner that waits to be let through, counts its transactions, and fails on demand."""

    def __init__(self, runner: Runner) -> None:
        self._runner = runner
        self.open = threading.Event()
        self.arrived = threading.Semaphore(0)
        self.ticks = threading.Semaphore(0)
        self.groups: list[int] = []  # the callers served by each transaction
        self.trouble: list[Exception] = []

    def absorb_all(self, batches: Sequence[Sequence[Incoming]]) -> list[Taken]:
        self.arrived.release()
        assert self.open.wait(SECONDS)
        if self.trouble:
            raise self.trouble.pop(0)
        self.groups.append(len(batches))
        return self._runner.absorb_all(batches)

    def drain(self) -> int:
        return self._runner.drain()

    def tick(self, now: datetime) -> None:
        self._runner.tick(now)
        self.ticks.release()


@contextmanager
def writing(
    runtime: Embedded, bounds: Bounds = BOUNDS, now: datetime | None = None, is_open: bool = True
) -> Iterator[tuple[Writer, Gate]]:
    gate = Gate(runtime.runner)
    writer = Writer(gate, bounds, lambda: now or at())
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


def busy(writer: Writer, gate: Gate) -> None:
    """Give it something to wait for at the gate."""
    writer.submit(order(0))
    assert gate.arrived.acquire(timeout=SECONDS)
