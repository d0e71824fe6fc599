"""Named points at which a test can kill or suspend the process, to show what survives.

`UNVARNISHED_FAILPOINT=after_claim_commit` sends SIGKILL at this point: no handler runs and nothing is flushed, as in a
power failure. `stop:after_claim_commit` sends SIGSTOP: all threads are suspended until SIGCONT. Without the variable a
point costs one comparison. It is read once, when the process starts.
"""

import os
import signal
from typing import Literal

Failpoint = Literal[
    "after_decision",  # decided whom to ask, not committed
    "after_claim_commit",  # committed to send, not handed to a thread yet
    "before_post",  # the message exists, nothing of it has been sent
    "after_post_before_record",  # the provider has answered, the answer is not stored
    "after_record",  # the answer is stored
]
FAILPOINTS: tuple[Failpoint, ...] = (
    "after_decision",
    "after_claim_commit",
    "before_post",
    "after_post_before_record",
    "after_record",
)
_STOP = "stop:"
_armed, _signal = "", signal.SIGKILL


def reached(failpoint: Failpoint) -> None:
    """Kill or suspend the process if this point is armed."""
    if failpoint == _armed:
        os.kill(os.getpid(), _signal)


def arm(failpoint: str) -> None:
    """Arm a point, with "stop:" before it to suspend; "" for none. For a process that was forked for a test."""
    global _armed, _signal
    _armed, _signal = failpoint.removeprefix(_STOP), signal.SIGSTOP if failpoint.startswith(_STOP) else signal.SIGKILL


arm(os.environ.get("UNVARNISHED_FAILPOINT", ""))
