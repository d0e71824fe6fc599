"""`unvarnished up` on a machine whose clock jumps, by libfaketime."""

import json
import signal
import sqlite3
import subprocess
import sys
from collections.abc import Callable, Iterator
from contextlib import closing
from datetime import UTC, datetime, timedelta
from glob import glob
from pathlib import Path
from typing import Any

import pytest

from pipeline.store.db.engine import connect
from pipeline.store.people import api_keys
from pipeline.store.schema.upgrade import migrate
from tests.support.builders import at, completed, scanned
from tests.support.limits import until
from tests.support.paths import ROOT
from tests.support.running.process import Up, environment
from tests.support.servers.ways import Unavailable, missing

pytestmark = [pytest.mark.reliability, pytest.mark.slow]

_LIBRARY = "/usr/lib/*/faketime/libfaketimeMT.so.1"
_FAR = "+26000d"  # beyond 2090


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    return tmp_path / "data"


@pytest.fixture
def start(folder: Path) -> Iterator[Callable[[], Up]]:
    started: list[Up] = []

    def _start() -> Up:
        started.append(Up(folder))
        return started[-1]

    yield _start
    for up in started:
        if up.process.poll() is None:
            up.end(signal.SIGKILL)


@pytest.fixture
def show(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> Callable[[str], None]:
    """Sets how far the clock of the started processes is from the true time."""
    found = glob(_LIBRARY)
    if not found:
        missing(Unavailable("libfaketime (package faketime) is not installed"))
    file = tmp_path / "clock"
    file.write_text("+0")
    monkeypatch.setenv("LD_PRELOAD", found[0])
    monkeypatch.setenv("FAKETIME_TIMESTAMP_FILE", str(file))
    monkeypatch.setenv("FAKETIME_NO_CACHE", "1")
    monkeypatch.setenv("FAKETIME_DONT_FAKE_MONOTONIC", "1")

    def _show(offset: str) -> None:
        file.write_text(offset)

    return _show


def doctor(folder: Path, *options: str) -> dict[str, Any]:
    command = [sys.executable, "-m", "pipeline", "doctor", "--format", "json", *options]
    done = subprocess.run(command, cwd=ROOT, env=environment(folder), capture_output=True, text=True, check=False)
    return next(check for check in json.loads(done.stdout) if check["name"] == "clock")


def newest_receipt(folder: Path) -> datetime:
    """The newest event of a source. An event of a timer has the time for which the timer was set, also under a clock
    that somebody accepted by mistake."""
    newest = "SELECT max(received_at) FROM journal WHERE source = 'erp'"
    with closing(sqlite3.connect(folder / "unvarnished.db")) as connection:
        (text,) = connection.execute(newest).fetchone()
    return datetime.fromisoformat(text).replace(tzinfo=UTC)


def test_four_seconds_of_a_wrong_clock_change_nothing(
    start: Callable[[], Up], folder: Path, show: Callable[[str], None]
) -> None:
    url = f"sqlite:///{folder / 'unvarnished.db'}"
    migrate(url)
    engine = connect(url)
    with engine.begin() as connection:
        key = api_keys.create(connection, "erp", False, at())
    engine.dispose()
    up = start()
    assert up.post(key, completed())[0] == 202

    show(_FAR)
    status, problem = up.post(key, scanned(time=at(hours=2)))
    assert (status, "clock has jumped ahead" in problem["detail"]) == (503, True)
    status, body = up.get("/readyz")
    assert (status, b"clock has jumped ahead" in body) == (503, True)
    assert b"\nunvarnished_clock_suspect 1.0\n" in up.get("/metrics")[1]

    show("+0")
    assert up.get("/readyz")[0] == 200
    assert up.post(key, scanned(time=at(hours=2)))[0] == 202
    assert up.end(signal.SIGTERM) == 0

    show(_FAR)
    up = start()
    assert up.post(key, scanned("SO-2"))[0] == 503
    assert up.get("/readyz")[0] == 503
    found = doctor(folder)
    assert (found["wrong"], "--accept-clock" in found["advice"]) == (True, True)
    assert newest_receipt(folder) < datetime.now(UTC) + timedelta(minutes=10)

    assert not doctor(folder, "--accept-clock")["wrong"]  # somebody makes the mistake
    until(lambda: up.get("/readyz")[0] == 200, "the running process notices that its clock was accepted")
    show("+0")
    assert up.get("/readyz")[0] == 503
    assert not doctor(folder, "--accept-clock")["wrong"]  # and corrects it
    until(lambda: up.get("/readyz")[0] == 200, "the true time counts again")
    assert up.post(key, scanned("SO-2"))[0] == 202
    assert up.end(signal.SIGTERM) == 0
    assert newest_receipt(folder) < datetime.now(UTC) + timedelta(minutes=10)
