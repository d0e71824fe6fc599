"""The time of receipt: this machine's clock, as long as it can be believed.

A wrong time would be stored with events and questions for good. So nothing is received, and nothing becomes due or is
sent, while the clock is suspect (`domain/events/receipt_time.py`).
"""

import logging
import threading
import time
from collections.abc import Callable, Sequence
from datetime import UTC, datetime, timedelta

from sqlalchemy import Connection, Engine

from pipeline import metrics
from pipeline.consumers.runtime.background import Background
from pipeline.consumers.runtime.retries import is_transient
from pipeline.domain.events.receipt_time import MAX_STEP, TOLERANCE, agree, jump_doubt, step_doubt
from pipeline.errors import ClockSuspect
from pipeline.store.db.engine import reading
from pipeline.store.journal import receipt_mark
from pipeline.store.reads.checks import server_time

_CHECK_SECONDS = 5.0  # between two checks whether a suspect clock was accepted
_RECORD_SECONDS = 30.0  # between two records of the time
_ADVICE = "if it is right, run `unvarnished doctor --accept-clock`"
_log = logging.getLogger(__name__)


def machine_time() -> datetime:
    """This machine's clock, UTC."""
    return datetime.now(UTC)


def uptime() -> float:
    """Seconds that have passed, whatever the machine's clock shows; on Linux also while the machine slept."""
    try:
        with open("/proc/uptime", encoding="ascii") as file:
            return float(file.read().split()[0])
    except (OSError, ValueError, IndexError):
        return time.monotonic()


class ReceiptClock:
    """Called, it returns the time of receipt, never earlier than before. Any number of threads may call it.

    `wall` returns what the machine's clock shows, `elapsed` the seconds that have passed since any fixed moment.
    """

    def __init__(self, wall: Callable[[], datetime] = machine_time, elapsed: Callable[[], float] = uptime) -> None:
        self._lock = threading.Lock()
        self._wall = wall
        self._elapsed = elapsed
        self._believed: tuple[datetime, float] | None = wall(), elapsed()  # a time, and `elapsed` then
        self._recorded = self._newest = self._believed[0]
        self._held = False

    def __call__(self) -> datetime:
        """The time of receipt. Raises ClockSuspect."""
        with self._lock:
            wall, elapsed = self._wall(), self._elapsed()
            doubt = self._doubt(wall, elapsed)
            metrics.CLOCK_SUSPECT.set(doubt is not None)
            if doubt is not None:
                raise ClockSuspect(f"{doubt}; {_ADVICE}")
            self._held = self._newest - wall > TOLERANCE
            self._newest = max(self._newest, wall)
            return self._newest

    @property
    def held(self) -> bool:
        """Whether the clock was far behind the newest receipt when it was read last."""
        return self._held

    @property
    def shown(self) -> datetime:
        """What the machine's clock shows, right or wrong."""
        return self._wall()

    @property
    def starting(self) -> bool:
        """Whether the clock has been suspect since the process started."""
        return self._believed is None

    def problems(self) -> list[str]:
        """Why the clock is suspect, in sentences."""
        try:
            self()
        except ClockSuspect as suspect:
            return [str(suspect)]
        return []

    def start_after(self, recorded: datetime) -> None:
        """Compare the clock with the newest receipt on record."""
        with self._lock:
            self._recorded = self._newest = recorded
            self._believed = None

    def confirm(self, recorded: datetime) -> None:
        """The time of receipt `recorded` is on record: later ones are measured from it."""
        with self._lock:
            wall, elapsed = self._wall(), self._elapsed()
            if not self._held and self._doubt(wall, elapsed) is None:
                self._believed = recorded, elapsed

    def accept(self) -> None:
        """Believe what the clock shows now. Receipts run backwards only if they are ahead by more than `MAX_STEP`."""
        with self._lock:
            wall = self._wall()
            self._believed = wall, self._elapsed()
            if self._newest - wall > MAX_STEP:
                self._newest = wall

    def _doubt(self, wall: datetime, elapsed: float) -> str | None:
        if self._believed is None:
            doubt = step_doubt(wall, self._recorded)
            if doubt is None:  # the clock is right, or was set right
                self._believed = wall, elapsed
            return doubt
        believed, since = self._believed
        return jump_doubt(wall, believed + timedelta(seconds=elapsed - since))


class ClockWatch(Background):
    """Records the time of receipt in the database, and finds out whether a suspect clock is right after all.

    `second_clocks`: of providers; each returns the time, or None if it is not known now.
    """

    def __init__(
        self, engine: Engine, clock: ReceiptClock, second_clocks: Sequence[Callable[[], datetime | None]] = ()
    ) -> None:
        super().__init__("clock watch")
        self._engine = engine
        self._clock = clock
        self._second_clocks = second_clocks
        self._was_suspect = False
        self._record_at = float("-inf")

    def check(self) -> None:
        """Record the time, or try to resolve the doubt about it."""
        problems = self._clock.problems()
        if problems and not self._was_suspect:
            _log.critical("nothing is received or sent: %s", problems[0])
        elif self._was_suspect and not problems:
            _log.warning("this machine's clock is believed again")
        self._was_suspect = bool(problems)
        if problems:
            self._resolve()
        elif time.monotonic() >= self._record_at:
            record(self._engine, self._clock)
            self._record_at = time.monotonic() + _RECORD_SECONDS

    def _resolve(self) -> None:
        with reading(self._engine) as connection:
            believed = _is_right(connection, self._clock)
        if believed or any(_agrees(second(), self._clock.shown) for second in self._second_clocks):
            self._clock.accept()
            with self._engine.begin() as connection:
                receipt_mark.accept(connection, self._clock())

    def _work(self) -> None:
        while True:
            try:
                self.check()
            except Exception as error:
                if not is_transient(error):
                    raise
                _log.warning("the time of receipt is not recorded (%s), to be retried", type(error).__name__)
            if not self._pause(_CHECK_SECONDS):
                return


def open_clock(engine: Engine, clock: ReceiptClock) -> ReceiptClock:
    """Compare a clock with the newest receipt on record, and with the database server's if it is far from that."""
    with reading(engine) as connection:
        recorded = receipt_mark.newest(connection, clock.shown)
        if recorded is None:
            return clock
        clock.start_after(recorded)
        agreed = bool(clock.problems()) and _is_right(connection, clock)
    if agreed:
        clock.accept()
        with engine.begin() as connection:
            receipt_mark.accept(connection, clock())
    return clock


def record(engine: Engine, clock: ReceiptClock) -> None:
    """Record the time of receipt. Raises ClockSuspect."""
    now = clock()
    with engine.begin() as connection:
        receipt_mark.record(connection, now)
    clock.confirm(now)


def is_accepted(connection: Connection, shown: datetime) -> bool:
    """Whether an operator has accepted a clock that shows this time."""
    return _agrees(receipt_mark.accepted(connection), shown)


def _is_right(connection: Connection, clock: ReceiptClock) -> bool:
    """Whether a suspect clock is right: an operator says so, or at the start of a process the database server's clock.

    Later that proves nothing: the server may run on the same machine.
    """
    shown = clock.shown
    return is_accepted(connection, shown) or (clock.starting and _agrees(server_time(connection), shown))


def _agrees(other: datetime | None, shown: datetime) -> bool:
    return other is not None and agree(other, shown)
