"""Programs that check or run the deployment: from the development dependencies or installed on the machine."""

import shutil
import subprocess
import sys
from pathlib import Path

from tests.support.paths import ROOT
from tests.support.servers.ways import Unavailable, missing

# Programs without a Python package, and their Debian packages.
_PACKAGES = {
    "promtool": "prometheus",
    "prometheus": "prometheus",
    "alertmanager": "prometheus-alertmanager",
    "amtool": "prometheus-alertmanager",
    "curl": "curl",
    "java": "openjdk-17-jdk-headless",
}
# Programs that Debian installs under another name.
_DEBIAN = {"alertmanager": "prometheus-alertmanager"}


def find(name: str) -> str:
    """The path of a program. If it is missing, the test is skipped with the reason; if `CI` is set, it fails."""
    local = Path(sys.executable).with_name(name)
    found = str(local) if local.exists() else shutil.which(name) or shutil.which(_DEBIAN.get(name, name))
    if found is None:
        origin = f"apt: {_PACKAGES[name]}" if name in _PACKAGES else "the development dependencies have it"
        missing(Unavailable(f"no {name} on this machine ({origin})"))
    return found


def run(name: str, *arguments: str, folder: Path = ROOT, environment: dict[str, str] | None = None) -> str:
    """The output of a program. Raises AssertionError with its output if it fails."""
    done = subprocess.run(
        [find(name), *arguments], cwd=folder, env=environment, capture_output=True, text=True, check=False
    )
    assert done.returncode == 0, done.stdout + done.stderr
    return done.stdout
