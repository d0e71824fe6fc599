"""The retry of dead letters: those that are valid now are processed, the others stay."""

from typing import Any

from pipeline.consumers.intake import Incoming, IngestResult
from pipeline.consumers.runtime.dead_letter_retry import retry
from pipeline.consumers.runtime.embedded import EmbeddedRunner
from pipeline.domain.events.contract import BadEvent
from pipeline.store.db.bulk import insert_new
from pipeline.store.schema.journal import dead_letters, journal
from pipeline.store.schema.orders import orders
from tests.support.builders import at, completed
from tests.support.running.embedded import ingest
from tests.support.stored import rows

REFUSED = BadEvent("an older version could not read this", "data")


def set_aside(runtime: EmbeddedRunner, raw: bytes, position: str) -> None:
    """The dead letter that an earlier version stored for this event."""
    runtime.ingest([Incoming(raw, "orders", position, REFUSED, at())])


def once_more(runtime: EmbeddedRunner) -> IngestResult:
    return retry(runtime.store, runtime, lambda: at(days=1))


def positions(runtime: EmbeddedRunner) -> set[Any]:
    return {row["position"] for row in rows(runtime, dead_letters)}


def test_dead_letters_that_are_valid_now_are_processed_and_the_others_stay(runtime: EmbeddedRunner) -> None:
    ingest(runtime, completed("SO-known"))
    set_aside(runtime, completed("SO-1"), "kafka:orders:0:1")
    set_aside(runtime, completed("SO-known"), "kafka:orders:0:2")
    set_aside(runtime, b"{", "kafka:orders:0:3")

    assert once_more(runtime) == IngestResult(new=1, duplicates=1, dead=1)

    assert {row["order_id"] for row in rows(runtime, orders)} == {"SO-1", "SO-known"}
    [received] = [row["received_at"] for row in rows(runtime, journal) if row["id"] == "SO-1:completed"]
    assert received == at(days=1)
    assert positions(runtime) == {"kafka:orders:0:3"}
    assert once_more(runtime) == IngestResult(0, 0, 1)


def test_a_retry_that_crashed_before_it_removed_dead_letters_can_be_repeated(runtime: EmbeddedRunner) -> None:
    set_aside(runtime, completed("SO-1"), "kafka:orders:0:1")
    left = rows(runtime, dead_letters)
    once_more(runtime)
    with runtime.engine.begin() as connection:
        insert_new(connection, dead_letters, left)
    assert once_more(runtime) == IngestResult(new=0, duplicates=1, dead=0)
    assert not positions(runtime)


def test_dead_letters_of_events_in_the_journal_are_not_retried(runtime: EmbeddedRunner) -> None:
    set_aside(runtime, completed("SO-1"), "journal:7")
    assert once_more(runtime) == IngestResult(0, 0, 0)
    assert positions(runtime) == {"journal:7"}


def test_more_dead_letters_than_one_transaction_are_all_retried(runtime: EmbeddedRunner) -> None:
    batch = [Incoming(completed(f"SO-{n}"), "orders", f"kafka:orders:0:{n}", REFUSED, at()) for n in range(501)]
    runtime.ingest(batch)
    assert once_more(runtime) == IngestResult(501, 0, 0)
    assert not positions(runtime)
