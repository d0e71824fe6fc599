"""Programs that check or run what is deployed: those of the development dependencies, or the machine's own."""

import shutil
import subprocess
import sys
from pathlib import Path

from tests.support.paths import ROOT
from tests.support.servers.ways import Unavailable, missing

# Those that no package of Python brings.
_PACKAGES = {"promtool": "prometheus", "prometheus": "prometheus", "alertmanager": "prometheus-alertmanager"}
# Those that Debian calls otherwise.
_DEBIAN = {"alertmanager": "prometheus-alertmanager"}


def find(name: str) -> str:
    """Where it is. Without it the test is skipped, and says so; where `CI` is set it fails."""
    beside = Path(sys.executable).with_name(name)
    found = str(beside) if beside.exists() else shutil.which(name) or shutil.which(_DEBIAN.get(name, name))
    if found is None:
        origin = f"apt: {_PACKAGES[name]}" if name in _PACKAGES else "the development dependencies have it"
        missing(Unavailable(f"no {name} on this machine ({origin})"))
    return found


def run(name: str, *arguments: str, folder: Path = ROOT, environment: dict[str, str] | None = None) -> str:
    """What it prints. Raises AssertionError with what it complains of."""
    done = subprocess.run(
        [find(name), *arguments], cwd=folder, env=environment, capture_output=True, text=True, check=False
    )
    assert done.returncode == 0, done.stdout + done.stderr
    return done.stdout
