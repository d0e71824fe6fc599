"""A browser; an installation's data folder, and processes of `unvarnished up` on it."""

import signal
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest
from playwright.sync_api import Browser

from tests.support.running.process import Up
from tests.support.servers import browsing


@pytest.fixture(scope="module")
def chromium() -> Iterator[Browser]:
    with browsing.chromium() as browser:
        yield browser


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    return tmp_path / "data"


@pytest.fixture
def start(folder: Path) -> Iterator[Callable[..., Up]]:
    started: list[Up] = []

    def _start(**settings: str) -> Up:
        started.append(Up(folder, **settings))
        return started[-1]

    yield _start
    for up in started:
        if up.process.poll() is None:
            up.end(signal.SIGKILL)
