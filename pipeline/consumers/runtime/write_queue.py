"""One thread writes: the batches that wait are stored and processed together, with one commit for all."""

import logging
import time
from collections import deque
from collections.abc import Callable, Sequence
from concurrent.futures import Future
from contextlib import suppress
from dataclasses import dataclass
from datetime import datetime
from typing import Protocol

from pipeline import metrics
from pipeline.consumers.intake import Incoming, IngestResult
from pipeline.consumers.runtime.background import Background
from pipeline.consumers.runtime.retries import is_transient
from pipeline.errors import ClockSuspect

_TICK_SECONDS = 1.0  # how late a timer may fire when no event arrives
_log = logging.getLogger(__name__)


class NotStored(Exception):
    """These events are not stored, as far as we know. The caller has to send them again after `retry_after`."""

    retry_after = 5  # seconds


class Busy(NotStored):
    """More events wait than the limits allow."""

    retry_after = 1


class Unavailable(NotStored):
    """The database was unavailable during all attempts. If the events were stored after all, a repeat has no effect."""


class Stopped(NotStored):
    """The queue was stopped, or a bug ended it."""


@dataclass(frozen=True)
class QueueLimits:
    """How much is written at once, and how much may wait."""

    batch_size: int  # events a transaction; a caller's own batch is never divided
    waiting_events: int
    waiting_bytes: int


class _Submission:
    """One caller's batch."""

    __slots__ = ("batch", "bytes", "future", "since")

    def __init__(self, batch: Sequence[Incoming]) -> None:
        self.batch = batch
        self.bytes = sum(len(incoming.raw) for incoming in batch)
        self.future: Future[IngestResult] = Future()
        self.since = time.monotonic()


class BatchSink(Protocol):
    """Where the queue writes: a runner that also processes the events, or a writer that leaves this to workers."""

    def store_batches(self, batches: Sequence[Sequence[Incoming]]) -> list[IngestResult]:
        """Store the batches of several callers in one transaction. Returns the result of each."""

    def process_pending(self) -> int:
        """Process what others have stored. Returns the number of events."""

    def tick(self, now: datetime) -> None:
        """Fire the timers due by `now`."""


class WriteQueue(Background):
    """Writes the batches of all callers, in the order of submission, and fires timers in between.

    A transient failure that outlasts all retries fails the batches it concerns. Any other error is a bug, which ends
    the thread. After `stop` it writes what it has accepted, and accepts nothing more.
    """

    def __init__(self, sink: BatchSink, limits: QueueLimits, now: Callable[[], datetime]) -> None:
        super().__init__("write queue")
        self._sink = sink
        self._limits = limits
        self._now = now
        self._waiting: deque[_Submission] = deque()
        self._writing: Sequence[_Submission] = ()
        self._waiting_events = self._waiting_bytes = 0
        self._woken = False
        self._unavailable = False

    @property
    def unavailable(self) -> bool:
        """Whether the last transaction failed because the database was unavailable."""
        return self._unavailable

    @property
    def longest_wait(self) -> float:
        """How long the oldest batch without a result has waited, in seconds."""
        with self._changed:
            oldest = [several[0].since for several in (self._writing, self._waiting) if several]
        return time.monotonic() - min(oldest) if oldest else 0.0

    def submit(self, batch: Sequence[Incoming]) -> Future[IngestResult]:
        """Have a batch stored. The future has the result once the batch is durable, or Unavailable or Stopped.

        Raises Busy or Stopped at once.
        """
        submission = _Submission(batch)
        with self._changed:
            # An empty queue accepts any batch: one that is never accepted would be sent again for ever.
            if self._waiting and (
                self._waiting_events + len(batch) > self._limits.waiting_events
                or self._waiting_bytes + submission.bytes > self._limits.waiting_bytes
            ):
                raise Busy(f"{self._waiting_events} events wait to be written")
            if self._stopping or self.ended.done():
                raise Stopped("the write queue has stopped")
            self._waiting.append(submission)
            self._waiting_events += len(batch)
            self._waiting_bytes += submission.bytes
            metrics.WAITING.set(self._waiting_events)
            self._changed.notify()
        return submission.future

    def wake(self) -> None:
        """Process at once what others have put into the journal."""
        with self._changed:
            self._woken = True
            self._changed.notify()

    def _work(self) -> None:
        self._unless_unavailable(self._sink.process_pending)  # what an earlier process stored
        tick_at = time.monotonic()
        while self._wait(tick_at):
            self._write()
            if self._woken or time.monotonic() >= tick_at:
                self._woken = False
                self._unless_unavailable(self._sink.process_pending)  # what others have put into the journal
                self._tick()
                tick_at = time.monotonic() + _TICK_SECONDS

    def _tick(self) -> None:
        with suppress(ClockSuspect):  # timers wait until the clock is right; `/readyz` says why
            now = self._now()
            self._unless_unavailable(lambda: self._sink.tick(now))

    def _wait(self, until: float) -> bool:
        """Wait for a batch, a call of `wake` or the next tick. False: all is written and the thread has to end."""
        with self._changed:
            while not (self._waiting or self._stopping or self._woken) and (rest := until - time.monotonic()) > 0:
                self._changed.wait(rest)
            return bool(self._waiting) or not self._stopping

    def _write(self) -> None:
        submissions = self._next()
        if not submissions:
            return
        try:
            results = self._sink.store_batches([submission.batch for submission in submissions])
            for submission, result in zip(submissions, results, strict=True):
                submission.future.set_result(result)
            self._unavailable = False
        except Exception as error:
            if not is_transient(error):
                raise
            self._note_unavailable(error)
            for submission in submissions:
                if not submission.future.done():
                    submission.future.set_exception(Unavailable("database unavailable"))
        with self._changed:
            self._writing = ()

    def _next(self) -> Sequence[_Submission]:
        """As many of the oldest batches as fit in one transaction."""
        submissions: list[_Submission] = []
        n = 0
        with self._changed:
            while self._waiting:
                submission = self._waiting[0]
                size = len(submission.batch)
                if n and n + size > self._limits.batch_size:
                    break
                self._waiting.popleft()
                self._waiting_events -= size
                self._waiting_bytes -= submission.bytes
                if submission.future.set_running_or_notify_cancel():  # its caller may have given up
                    submissions.append(submission)
                    n += size
            self._writing = submissions
            metrics.WAITING.set(self._waiting_events)
        return submissions

    def _unless_unavailable(self, do: Callable[[], object]) -> None:
        try:
            do()
            self._unavailable = False
        except Exception as error:
            if not is_transient(error):
                raise
            self._note_unavailable(error)

    def _note_unavailable(self, error: Exception) -> None:
        self._unavailable = True
        _log.error("database unavailable (%s)", type(error).__name__)

    def _end(self, bug: BaseException | None) -> None:
        with self._changed:
            unwritten = [submission for submission in self._writing if not submission.future.done()]
            unwritten += [one for one in self._waiting if one.future.set_running_or_notify_cancel()]
            self._waiting.clear()
            self._writing = ()
            super()._end(bug)
        for submission in unwritten:
            submission.future.set_exception(Stopped("the write queue has stopped"))
