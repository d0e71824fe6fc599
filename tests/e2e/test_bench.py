"""The measurements in small: that they measure what they say. What they measure is no matter of a test."""

import io

import pytest
from rich.console import Console

from pipeline.bench import asks, door

pytestmark = pytest.mark.e2e


def test_every_delivery_is_asked_about_once() -> None:
    run = asks.waited(rate=20, seconds=1)
    assert (len(run.questions), len(run.answers), run.lost, run.doubled) == (20, 20, 0, 0)
    assert run.questions == sorted(run.questions)
    assert run.questions[0] > 0, "no question leaves before its delivery was sent"


def test_the_door_is_measured_beside_the_embedded_path() -> None:
    out = io.StringIO()
    door.measure(Console(file=out, width=120), requests=32, batches=1)
    assert "one event" in out.getvalue()
    assert "500 events" in out.getvalue()
    assert "Embedded path alone" in out.getvalue()
