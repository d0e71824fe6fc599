"""Named places at which a test may kill this process, to show what survives that.

`UNVARNISHED_FAILPOINT=after_claim_commit` sends SIGKILL there: no handler runs, nothing is flushed, as when the power
goes. Without the variable a place costs one comparison. It is read once, when the process starts.
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
_armed = os.environ.get("UNVARNISHED_FAILPOINT", "")


def reached(place: Place) -> None:
    """Die here, if that is what the test asked for."""
    if place == _armed:
        os.kill(os.getpid(), signal.SIGKILL)


def arm(place: str) -> None:
    """Choose the place in a process that was forked for a test; "" for none."""
    global _armed
    _armed = place
