"""Tools from npm, installed from the lock file of their folder when a test first needs them."""

import fcntl
import hashlib
import os
import shutil
import subprocess
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import NoReturn

import pytest


def installed(folder: Path) -> Path:
    """The `node_modules` of a folder with a lock file. Without npm the test that asks is skipped; in CI it fails."""
    with _alone(folder):
        return _installed(folder)


@contextmanager
def _alone(folder: Path) -> Iterator[None]:
    """Excludes other processes of a parallel run: only the first one installs."""
    name = hashlib.sha256(str(folder).encode()).hexdigest()[:16]
    with (Path(tempfile.gettempdir()) / f"unvarnished-npm-{name}.lock").open("w") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)
        yield


def _installed(folder: Path) -> Path:
    modules = folder / "node_modules"
    if (modules / ".package-lock.json").exists():  # npm writes it last
        return modules
    npm = shutil.which("npm")
    if npm is None:
        unavailable(f"{folder.name} needs npm once: apt install npm")
    done = subprocess.run(
        [npm, "ci", "--no-audit", "--no-fund", "--ignore-scripts"],
        cwd=folder,
        capture_output=True,
        text=True,
        check=False,
    )
    if done.returncode:
        unavailable(f"npm ci in {folder} failed: {done.stderr[-300:]}")
    return modules


def unavailable(reason: str) -> NoReturn:
    """Skip the test with this reason; if `CI` is set, fail it."""
    if os.environ.get("CI"):
        pytest.fail(reason, pytrace=False)
    pytest.skip(reason)
