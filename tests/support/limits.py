"""The one limit of every wait in the tests."""

import threading
from collections.abc import Callable
from typing import TypeVar

PATIENCE = 180
"""Seconds until a test gives up waiting for a condition. Never an expectation of speed: both processors may be busy."""

T = TypeVar("T")


def until(condition: Callable[[], T | None], what: str, seconds: float = PATIENCE) -> T:
    """Call `condition` again and again; returns its first true result. Fails the test after `seconds`."""
    waiting = threading.Event()
    for _ in range(round(seconds / 0.05)):
        result = condition()
        if result:
            return result
        waiting.wait(0.05)
    raise AssertionError(f"not within {seconds:.0f} seconds: {what}")
