"""What the native servers share."""

import shutil
from typing import Literal


def ending_with_parent(signal: Literal["INT", "TERM"]) -> list[str]:
    """A command prefix that ends the process with its parent, so that a killed test run leaves none. Linux only."""
    return ["setpriv", "--pdeathsig", signal, "--"] if shutil.which("setpriv") else []
