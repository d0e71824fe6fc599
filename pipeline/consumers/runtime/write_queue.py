"""One thread does the writing: what waits is stored and processed together, with one commit to wait for."""

import logging
import time
from collections import deque
from collections.abc import Callable, Sequence
from concurrent.futures import Future
from dataclasses import dataclass
from datetime import datetime
from typing import Protocol

from pipeline import metrics
from pipeline.consumers.intake import Incoming, Taken
from pipeline.consumers.runtime.background import Background
from pipeline.consumers.runtime.embedded import passes

_TICK_SECONDS = 1.0  # how late a timer may be when no event comes
_log = logging.getLogger(__name__)


class NotTaken(Exception):
    """Nothing is promised about these events: they have to be sent again, later."""

    retry_after = 5  # seconds


class Busy(NotTaken):
    """More waits to be written than the limits allow."""

    retry_after = 1


class Unavailable(NotTaken):
    """The database was away for longer than we try. What it may have stored before counts once."""


class Stopped(NotTaken):
    """The writer has ended, on demand or by a bug."""


@dataclass(frozen=True)
class Bounds:
    """How much is written at once, and how much may wait."""

    batch: int  # events a transaction; a caller's own batch is never cut
    waiting_events: int
    waiting_bytes: int


class _Call:
    """One caller's batch."""

    __slots__ = ("batch", "bytes", "future", "since")

    def __init__(self, batch: Sequence[Incoming]) -> None:
        self.batch = batch
        self.bytes = sum(len(incoming.raw) for incoming in batch)
        self.future: Future[Taken] = Future()
        self.since = time.monotonic()


class Absorber(Protocol):
    """What a writer hands events to: a runner that processes them, or an appender that leaves that to others."""

    def absorb_all(self, batches: Sequence[Sequence[Incoming]]) -> list[Taken]:
        """Store the batches of several callers in one transaction. Returns what became of each."""

    def drain(self) -> int:
        """Process what others stored. Returns the number of events."""

    def tick(self, now: datetime) -> None:
        """Fire the timers due by `now`."""


class Writer(Background):
    """Writes for everybody, in the order of submission, and keeps the clock going.

    Trouble that passes fails the calls it touched and is over; anything else is a bug, which ends the writer. Told to
    stop it finishes what it accepted, and accepts no more.
    """

    def __init__(self, runner: Absorber, bounds: Bounds, now: Callable[[], datetime]) -> None:
        super().__init__("writer")
        self._runner = runner
        self._bounds = bounds
        self._now = now
        self._waiting: deque[_Call] = deque()
        self._doing: Sequence[_Call] = ()
        self._events = self._bytes = 0  # that wait
        self._nudged = False
        self._away = False

    @property
    def away(self) -> bool:
        """Whether the last thing tried failed because the database was away."""
        return self._away

    @property
    def behind(self) -> float:
        """Seconds that the oldest call not answered yet has waited."""
        with self._changed:
            oldest = [calls[0].since for calls in (self._doing, self._waiting) if calls]
        return time.monotonic() - min(oldest) if oldest else 0.0

    def submit(self, batch: Sequence[Incoming]) -> Future[Taken]:
        """Have a batch stored and processed; the future tells what became of it once that is durable.

        Raises Busy or Stopped at once; the future may fail with Unavailable or Stopped.
        """
        call = _Call(batch)
        with self._changed:
            # An empty queue takes any batch: one that could never be taken would come back for ever.
            if self._waiting and (
                self._events + len(batch) > self._bounds.waiting_events
                or self._bytes + call.bytes > self._bounds.waiting_bytes
            ):
                raise Busy(f"{self._events} events wait to be written")
            if self._stopping or self.ended.done():
                raise Stopped("the writer has ended")
            self._waiting.append(call)
            self._events += len(batch)
            self._bytes += call.bytes
            metrics.WAITING.set(self._events)
            self._changed.notify()
        return call.future

    def nudge(self) -> None:
        """Somebody else put events into the journal: process them at once."""
        with self._changed:
            self._nudged = True
            self._changed.notify()

    def _work(self) -> None:
        self._guarded(self._runner.drain)  # what an earlier process stored
        tick_at = time.monotonic()
        while self._wait(tick_at):
            self._write()
            if self._nudged or time.monotonic() >= tick_at:
                self._nudged = False
                self._guarded(self._runner.drain)  # what others put into the journal
                self._guarded(lambda: self._runner.tick(self._now()))
                tick_at = time.monotonic() + _TICK_SECONDS

    def _wait(self, until: float) -> bool:
        """Until there is work or the clock has to go on. False: all is done and it is time to end."""
        with self._changed:
            while not (self._waiting or self._stopping or self._nudged) and (rest := until - time.monotonic()) > 0:
                self._changed.wait(rest)
            return bool(self._waiting) or not self._stopping

    def _write(self) -> None:
        calls = self._next()
        if not calls:
            return
        try:
            done = self._runner.absorb_all([call.batch for call in calls])
            for call, taken in zip(calls, done, strict=True):
                call.future.set_result(taken)
            self._away = False
        except Exception as error:
            if not passes(error):
                raise
            self._note_away(error)
            for touched in calls:
                if not touched.future.done():
                    touched.future.set_exception(Unavailable("the database is away"))
        with self._changed:
            self._doing = ()

    def _next(self) -> Sequence[_Call]:
        """As many of the oldest calls as one transaction takes."""
        calls: list[_Call] = []
        n = 0
        with self._changed:
            while self._waiting:
                call = self._waiting[0]
                size = len(call.batch)
                if n and n + size > self._bounds.batch:
                    break
                self._waiting.popleft()
                self._events -= size
                self._bytes -= call.bytes
                if call.future.set_running_or_notify_cancel():  # its caller may have left
                    calls.append(call)
                    n += size
            self._doing = calls
            metrics.WAITING.set(self._events)
        return calls

    def _guarded(self, do: Callable[[], object]) -> None:
        try:
            do()
            self._away = False
        except Exception as error:
            if not passes(error):
                raise
            self._note_away(error)

    def _note_away(self, error: Exception) -> None:
        self._away = True
        _log.error("the database is away (%s)", type(error).__name__)

    def _end(self, bug: BaseException | None) -> None:
        with self._changed:
            calls = [call for call in self._doing if not call.future.done()]
            calls += [call for call in self._waiting if call.future.set_running_or_notify_cancel()]
            self._waiting.clear()
            self._doing = ()
            super()._end(bug)
        for call in calls:
            call.future.set_exception(Stopped("the writer has ended"))
