"""Named places at which a test may kill or stop this process, to show what survives that.

`UNVARNISHED_FAILPOINT=after_claim_commit` sends SIGKILL there: no handler runs, nothing is flushed, as when the power
goes. `stop:after_claim_commit` sends SIGSTOP: all threads stand still until somebody sends SIGCONT. Without the
variable a place costs one comparison. It is read once, when the process starts.
"""

import os
import signal
from typing import Literal

Place = Literal[
    "after_decision",  # decided whom to ask, not committed
    "after_claim_commit",  # committed to send, no thread has it yet
    "before_post",  # the message is made, not a byte has left
    "after_post_before_record",  # the provider has answered, nobody wrote it down
    "after_record",  # written down
]
PLACES: tuple[Place, ...] = (
    "after_decision",
    "after_claim_commit",
    "before_post",
    "after_post_before_record",
    "after_record",
)
_STOP = "stop:"
_armed, _signal = "", signal.SIGKILL


def reached(place: Place) -> None:
    """Die or stand still here, if that is what the test asked for."""
    if place == _armed:
        os.kill(os.getpid(), _signal)


def arm(place: str) -> None:
    """Choose the place, and what happens there; "" for none. For a process that was forked for a test."""
    global _armed, _signal
    _armed, _signal = place.removeprefix(_STOP), signal.SIGSTOP if place.startswith(_STOP) else signal.SIGKILL


arm(os.environ.get("UNVARNISHED_FAILPOINT", ""))
