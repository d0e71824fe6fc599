"""What starts a server as a plain process has in common."""

import shutil
from typing import Literal


def ending_with_parent(signal: Literal["INT", "TERM"]) -> list[str]:
    """What to put before a command, on Linux: whoever is killed (a test run, a terminal) leaves nothing behind."""
    return ["setpriv", "--pdeathsig", signal, "--"] if shutil.which("setpriv") else []
