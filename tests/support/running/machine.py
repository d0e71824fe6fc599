"""A machine whose clock can be wrong."""

from datetime import datetime, timedelta

from pipeline.consumers.runtime.receipt_clock import ReceiptClock
from tests.support.builders import MONDAY

DECADES = timedelta(days=26_000)


class Machine:
    """`now` is the true time, and the machine's clock shows `error` more."""

    def __init__(self, now: datetime = MONDAY) -> None:
        self.now = now
        self.error = timedelta(0)
        self._started = now

    def clock(self) -> ReceiptClock:
        """The clock of a process that starts now."""
        return ReceiptClock(lambda: self.now + self.error, lambda: (self.now - self._started).total_seconds())
