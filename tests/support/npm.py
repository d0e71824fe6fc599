"""Tools that come through npm: installed from the lock file of their folder the first time a test needs them."""

import os
import shutil
import subprocess
from pathlib import Path
from typing import NoReturn

import pytest


def installed(folder: Path) -> Path:
    """The `node_modules` of a folder with a lock file. Without npm the test that asks is skipped; in CI it fails."""
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
    """This machine lacks something: skip, visibly; where CI is set, fail."""
    if os.environ.get("CI"):
        pytest.fail(reason, pytrace=False)
    pytest.skip(reason)
