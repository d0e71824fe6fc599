"""Lighthouse on one page: the scores of accessibility and best practices, and what lowers them."""

import json
import os
import shutil
import subprocess
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any, NamedTuple

from tests.support.limits import PATIENCE
from tests.support.paths import ROOT
from tests.support.servers.npm import installed, unavailable

_HERE = ROOT / "tests" / "e2e"
CATEGORIES = ("accessibility", "best-practices")
_LOADING = 15_000  # milliseconds; it would wait for an idle network, and our pages ask for news all the time


class Scores(NamedTuple):
    """Scores of 0 to 100 by category, and the audits that failed."""

    scores: dict[str, int]
    failed: list[str]


def lighthouse(address: str, token: str | None = None) -> Scores:
    """Load a page as a phone does, signed in with `token` if there is one."""
    with TemporaryDirectory() as folder:
        return _read(_report(address, Path(folder), token))


def _report(address: str, folder: Path, token: str | None) -> Any:
    chromium = os.environ.get("CHROMIUM") or shutil.which("chromium") or shutil.which("chromium-browser")
    if chromium is None:
        unavailable("no Chromium on this machine: apt install chromium")
    report = folder / "lighthouse.json"
    command = [str(installed(_HERE) / ".bin" / "lighthouse"), address, "--quiet", "--output", "json"]
    command += ["--output-path", str(report), f"--only-categories={','.join(CATEGORIES)}"]
    command += ["--chrome-flags=--headless=new --no-sandbox", f"--max-wait-for-load={_LOADING}"]
    if token is not None:
        command += ["--extra-headers", json.dumps({"Authorization": f"Bearer {token}"})]
    settings = os.environ | {"CHROME_PATH": chromium, "TMPDIR": str(folder)}
    done = subprocess.run(
        command, cwd=folder, env=settings, capture_output=True, text=True, check=False, timeout=10 * PATIENCE
    )
    assert done.returncode == 0, done.stderr
    return json.loads(report.read_text())


def _read(report: Any) -> Scores:
    scores, failed = {}, []
    for name in CATEGORIES:
        category = report["categories"][name]
        scores[name] = round(100 * category["score"])
        for reference in category["auditRefs"]:
            audit = report["audits"][reference["id"]]
            if reference["weight"] and audit["score"] not in (None, 1):
                failed.append(f"{reference['id']}: {audit['title']}")
    return Scores(scores, failed)
