"""Small runs of the benchmarks: they measure what they claim to measure. No test asserts the results."""

import io

import pytest
from rich.console import Console

from pipeline.bench import http_intake, question_delay

pytestmark = pytest.mark.e2e


def test_every_delivery_is_asked_about_once() -> None:
    run = question_delay.run_at_rate(rate=20, seconds=1)
    assert (len(run.questions), len(run.answers), run.lost, run.doubled) == (20, 20, 0, 0)
    assert run.questions == sorted(run.questions)
    assert run.questions[0] > 0, "no question leaves before its delivery was sent"


def test_http_intake_is_measured_together_with_the_embedded_runner_alone() -> None:
    out = io.StringIO()
    http_intake.measure(Console(file=out, width=120), requests=32, batches=1)
    assert "one event" in out.getvalue()
    assert "500 events" in out.getvalue()
    assert "Embedded runner alone" in out.getvalue()
