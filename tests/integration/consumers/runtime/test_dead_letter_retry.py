"""Dead letters once more: what can be read now is processed, what cannot stays."""

from typing import Any

from pipeline.consumers.embedded import Embedded
from pipeline.consumers.intake import Incoming, Taken
from pipeline.consumers.runtime.dead_letter_retry import retry
from pipeline.domain.events.contract import BadEvent
from pipeline.store.db.bulk import insert_new
from pipeline.store.schema.tables import dead_letters, journal, orders
from tests.support.builders import VAULT, at, completed, take
from tests.support.stored import rows

REFUSED = BadEvent("an older version could not read this", "data")


def set_aside(runtime: Embedded, raw: bytes, position: str) -> None:
    """What an earlier version made of this event."""
    runtime.runner.absorb([Incoming(raw, "orders", position, REFUSED, at())])


def once_more(runtime: Embedded) -> Taken:
    return retry(runtime.engine, VAULT, runtime.runner, lambda: at(days=1))


def places(runtime: Embedded) -> set[Any]:
    return {row["position"] for row in rows(runtime, dead_letters)}


def test_what_can_be_read_now_is_processed_and_what_cannot_stays(runtime: Embedded) -> None:
    take(runtime, completed("SO-known"))
    set_aside(runtime, completed("SO-1"), "kafka:orders:0:1")
    set_aside(runtime, completed("SO-known"), "kafka:orders:0:2")
    set_aside(runtime, b"{", "kafka:orders:0:3")

    assert once_more(runtime) == Taken(new=1, duplicates=1, dead=1)

    assert {row["order_id"] for row in rows(runtime, orders)} == {"SO-1", "SO-known"}
    [received] = [row["received_at"] for row in rows(runtime, journal) if row["id"] == "SO-1:completed"]
    assert received == at(days=1)
    assert places(runtime) == {"kafka:orders:0:3"}
    assert once_more(runtime) == Taken(0, 0, 1)


def test_a_retry_that_ended_before_its_letters_were_struck_off_can_be_repeated(runtime: Embedded) -> None:
    set_aside(runtime, completed("SO-1"), "kafka:orders:0:1")
    left = rows(runtime, dead_letters)
    once_more(runtime)
    with runtime.engine.begin() as connection:
        insert_new(connection, dead_letters, left)
    assert once_more(runtime) == Taken(new=0, duplicates=1, dead=0)
    assert not places(runtime)


def test_what_the_journal_has_already_is_left_where_it_is(runtime: Embedded) -> None:
    set_aside(runtime, completed("SO-1"), "journal:7")
    assert once_more(runtime) == Taken(0, 0, 0)
    assert places(runtime) == {"journal:7"}


def test_more_letters_than_one_transaction_takes_are_all_retried(runtime: Embedded) -> None:
    batch = [Incoming(completed(f"SO-{n}"), "orders", f"kafka:orders:0:{n}", REFUSED, at()) for n in range(501)]
    runtime.runner.absorb(batch)
    assert once_more(runtime) == Taken(501, 0, 0)
    assert not places(runtime)
