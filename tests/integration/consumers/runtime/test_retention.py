"""Dead letters and marks of handled events are deleted by age, and nothing else is."""

from collections.abc import Callable
from datetime import datetime, timedelta

import pytest
from pydantic import ValidationError
from sqlalchemy import text

from pipeline import metrics
from pipeline.consumers.intake import Incoming
from pipeline.consumers.runtime.embedded import EmbeddedRunner
from pipeline.consumers.runtime.retention import Ages, Deleted, Retention, delete_expired
from pipeline.domain.events.contract import BadEvent
from pipeline.settings import Settings
from pipeline.store.schema.journal import dead_letters, handled, journal, outbox
from tests.support.builders import at, completed
from tests.support.limits import until
from tests.support.running.embedded import LEVELS, ingest
from tests.support.stored import rows

AGES = Ages(timedelta(days=90), timedelta(days=30))
REFUSED = BadEvent("an older version could not read this", "data")


def days_of(runtime: EmbeddedRunner) -> list[int]:
    """The days of the dead letters that are left."""
    return sorted((row["received_at"] - at()).days for row in rows(runtime, dead_letters))


def fill(runtime: EmbeddedRunner, *days: int) -> None:
    """One event, one mark and one dead letter on each of these days."""
    for day in days:
        ingest(runtime, completed(f"SO-{day}", time=at(days=day)))
        runtime.ingest([Incoming(b"{", "orders", f"kafka:orders:0:{day}", REFUSED, at(days=day))])
    with runtime.engine.begin() as connection:
        for day in days:  # they are stored with the time of the machine
            place = dead_letters.c.position == f"kafka:orders:0:{day}"
            connection.execute(dead_letters.update().where(place).values(received_at=at(days=day)))
        for seq in seqs(runtime):
            connection.execute(handled.insert().values(seq=seq, part=""))


def seqs(runtime: EmbeddedRunner) -> list[int]:
    """The places of the orders; the questions about them are in the journal, too."""
    return sorted(row["seq"] for row in rows(runtime, journal) if row["type"] == "order.completed")


def run(runtime: EmbeddedRunner, now: datetime, chunk: int = 2) -> Deleted:
    return delete_expired(runtime.store, LEVELS, AGES, now, rows=chunk)


def test_what_is_older_is_deleted_and_counted(runtime: EmbeddedRunner) -> None:
    fill(runtime, 0, 1, 2, 50, 60, 99, 100)
    counted = metrics.EXPIRED.labels("dead_letters")._value.get()
    assert run(runtime, at(days=100)) == Deleted(dead_letters=3, handled=5, slots=6)
    assert days_of(runtime) == [50, 60, 99, 100]
    assert len(rows(runtime, handled)) == 2
    assert len(seqs(runtime)) == 7, "the journal keeps everything"
    assert metrics.EXPIRED.labels("dead_letters")._value.get() == counted + 3
    assert run(runtime, at(days=100)) == Deleted(0, 0)


def test_a_clock_that_jumps_ahead_deletes_nothing_that_is_new(runtime: EmbeddedRunner) -> None:
    fill(runtime, 0, 80, 100)
    assert run(runtime, at(days=26_000)).dead_letters == 1
    assert days_of(runtime) == [80, 100]


def test_marks_are_kept_while_older_events_wait_to_be_published(runtime: EmbeddedRunner) -> None:
    fill(runtime, 0, 1, 100)
    places = seqs(runtime)
    with runtime.engine.begin() as connection:
        connection.execute(outbox.insert().values(seq=places[1], shard=0))
    assert run(runtime, at(days=100)).handled == 1
    assert sorted(row["seq"] for row in rows(runtime, handled)) == places[1:]


def test_an_empty_installation_has_nothing_to_delete(runtime: EmbeddedRunner) -> None:
    assert run(runtime, at(days=1_000)) == Deleted(0, 0)


def test_the_thread_deletes_at_its_start_and_survives_an_unavailable_database(
    start: Callable[..., EmbeddedRunner],
) -> None:
    runtime = start()
    fill(runtime, 0, 100)
    thread = Retention(runtime.store, LEVELS, AGES, lambda: at(days=100))
    thread.start()
    until(lambda: days_of(runtime) == [100], "the old one is deleted")
    thread.stop()
    assert thread.ended.exception(0) is None
    with runtime.engine.begin() as connection:
        assert connection.execute(text("SELECT count(*) FROM handled")).scalar() == 1


def test_marks_outlive_the_events_on_kafka() -> None:
    with pytest.raises(ValidationError, match="UNVARNISHED_HANDLED_RETENTION_DAYS must be at least twice"):
        Settings(kafka_bootstrap_servers="broker:9092", kafka_input_retention_hours=400)
    Settings(kafka_bootstrap_servers="broker:9092", kafka_input_retention_hours=400, handled_retention_days=34)
    Settings(kafka_input_retention_hours=400)
