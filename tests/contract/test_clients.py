"""Clients that generators make from the OpenAPI document read a running installation, in Python and in TypeScript."""

import json
import shutil
import subprocess
import sys
from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import NamedTuple

import pytest

from tests.contract.openapi import new_key, openapi_of
from tests.support.builders import completed, scanned
from tests.support.limits import PATIENCE, until
from tests.support.paths import ROOT
from tests.support.running.process import TOKEN, Up
from tests.support.servers.npm import installed

_FOLDER = ROOT / "tests" / "contract"
_CLIENTS = _FOLDER / "clients"
# In an environment of its own: the generator wants an older version of a library of ours.
_ISOLATED = (
    *(sys.executable, "-m", "uv", "run", "--quiet", "--no-project", "--isolated", "--python", sys.executable),
    *("--with", "openapi-python-client==0.29.1", "--with", "python-dateutil==2.9.0.post0"),
)
_ORDERS = ("SO-1", "SO-2", "SO-3")


class _Installation(NamedTuple):
    url: str
    document: str
    since: str  # before the newest of three orders and after the others
    folder: Path

    @property
    def arguments(self) -> list[str]:
        return [self.url, TOKEN, self.since]


@pytest.fixture(scope="module")
def installation(tmp_path_factory: pytest.TempPathFactory) -> Iterator[_Installation]:
    folder = tmp_path_factory.mktemp("clients")
    up = Up(folder / "data", NOTIFIER="phone")
    try:
        key, since = new_key(folder / "data"), ""
        for order in _ORDERS:
            since = datetime.now(UTC).isoformat()
            now = datetime.now(UTC)
            for event in (completed(order, now - timedelta(hours=1)), scanned(order, now)):
                assert up.post(key, event)[0] == 202
        until(lambda: all(up.get(f"/v1/orders/{order}")[0] == 200 for order in _ORDERS), "the orders are listed")
        yield _Installation(f"http://127.0.0.1:{up.internal}", openapi_of(up.internal), since, folder)
    finally:
        up.process.terminate()
        up.close()


def _printed(command: list[str], folder: Path) -> object:
    done = subprocess.run(command, cwd=folder, capture_output=True, text=True, check=False, timeout=PATIENCE)
    assert done.returncode == 0, done.stdout + done.stderr
    return json.loads(done.stdout)


_EXPECTED = {
    "orders": ["SO-3", "SO-2", "SO-1"],
    "pages": 2,
    "changed": ["SO-3"],
    "order": "SO-3",
    "delivered": 3,
    "field": "modified_since",
}


def test_a_python_client(installation: _Installation) -> None:
    folder = installation.folder
    (folder / "openapi.json").write_text(installation.document)
    (folder / "configuration.yaml").write_text("content_type_overrides: {image/svg+xml: application/octet-stream}\n")
    generate = ["openapi-python-client", "generate", "--path", "openapi.json", "--meta", "none", "--fail-on-warning"]
    generate += ["--config", "configuration.yaml", "--output-path", "unvarnished_client"]
    made = subprocess.run(
        [*_ISOLATED, *generate], cwd=folder, capture_output=True, text=True, check=False, timeout=PATIENCE
    )
    assert made.returncode == 0, made.stdout + made.stderr
    shutil.copy(_CLIENTS / "read_orders.py", folder)
    assert _printed([*_ISOLATED, "python", "read_orders.py", *installation.arguments], folder) == _EXPECTED


def test_a_typescript_client(installation: _Installation) -> None:
    folder, modules = installation.folder / "typescript", installed(_FOLDER)
    folder.mkdir()
    (folder / "node_modules").symlink_to(modules)
    (folder / "package.json").write_text('{"type": "module"}')
    (folder / "openapi.json").write_text(installation.document)
    shutil.copy(_CLIENTS / "read-orders.ts", folder)
    for command in (
        ["openapi-typescript", "openapi.json", "-o", "unvarnished.d.ts"],
        ["tsc", "--strict", "--target", "es2022", "--module", "nodenext", "--types", "node", "read-orders.ts"],
    ):
        done = subprocess.run(
            [str(modules / ".bin" / command[0]), *command[1:]],
            cwd=folder,
            capture_output=True,
            text=True,
            check=False,
            timeout=PATIENCE,
        )
        assert done.returncode == 0, done.stdout + done.stderr
    assert _printed(["node", "read-orders.js", *installation.arguments], folder) == _EXPECTED
