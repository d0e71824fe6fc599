"""Small runs of the benchmarks: they measure what they claim to measure. No test asserts the results."""

import io
from pathlib import Path

import pytest
from rich.console import Console
from sqlalchemy import func, select

from pipeline.bench import http_intake, question_delay
from pipeline.bench.pages import readers
from pipeline.store.db.engine import connect, reading
from pipeline.store.schema.journal import journal

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


def test_people_read_the_pages_while_events_arrive(tmp_path: Path) -> None:
    found = readers.measure(1_000, tmp_path, None, readers.Load(readers=30, rate=10, seconds=3))
    assert found[-1].page == "all"
    assert found[-1].readings == sum(times.readings for times in found[:-1]) > 0
    engine = connect(f"sqlite:///{tmp_path}/unvarnished.db")
    arrived = journal.c.id.startswith("d1"), journal.c.type == "delivery.updated", journal.c.source == "bench"
    with reading(engine) as connection:
        assert connection.execute(select(func.count()).select_from(journal).where(*arrived)).scalar_one() == 15
    engine.dispose()
