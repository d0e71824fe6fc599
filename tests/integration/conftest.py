"""An embedded runner on each engine, closed at the end of the test."""

from collections.abc import Callable, Iterator
from typing import Any

import pytest

from pipeline.consumers.runtime.embedded import EmbeddedRunner
from tests.support.running.embedded import close, embedded


@pytest.fixture
def start(database_url: str) -> Iterator[Callable[..., EmbeddedRunner]]:
    """Start a runner on the test's database. A further call is a restart."""
    started: list[EmbeddedRunner] = []

    def _start(**options: Any) -> EmbeddedRunner:
        started.append(embedded(database_url, **options))
        return started[-1]

    yield _start
    for runtime in started:
        close(runtime.engine)


@pytest.fixture
def runtime(start: Callable[..., EmbeddedRunner]) -> EmbeddedRunner:
    return start()
