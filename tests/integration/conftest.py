"""An embedded installation on each engine, with everything closed at the end."""

from collections.abc import Callable, Iterator
from typing import Any

import pytest

from pipeline.consumers.embedded import Embedded
from tests.support.builders import embedded


@pytest.fixture
def start(database_url: str) -> Iterator[Callable[..., Embedded]]:
    """Start a runtime on the test's database; starting again is what a restart is."""
    started: list[Embedded] = []

    def _start(**options: Any) -> Embedded:
        started.append(embedded(database_url, **options))
        return started[-1]

    yield _start
    for runtime in started:
        runtime.engine.dispose()


@pytest.fixture
def runtime(start: Callable[..., Embedded]) -> Embedded:
    return start()
