"""The intake: each event is stored once, sealed, in the order of receipt; the rest become dead letters."""

from collections.abc import Callable

import pytest
from sqlalchemy import text

from pipeline.consumers.intake import Incoming
from pipeline.consumers.runtime.embedded import EmbeddedRunner
from pipeline.domain.events.contract import BadEvent
from pipeline.store.db.engine import reading
from pipeline.store.people.keys import by_id
from pipeline.store.people.vault import UnsealError, Vault
from pipeline.store.schema.journal import dead_letters, journal
from pipeline.store.schema.orders import orders
from tests.support.builders import answered, at, completed, contact, scanned
from tests.support.dump import dump, raw_dump
from tests.support.inputs.malformed import MALFORMED
from tests.support.modes import EVERYWHERE
from tests.support.running.embedded import VAULT, incoming, ingest
from tests.support.stored import opened_people, rows

pytestmark = pytest.mark.parametrize("database_url", EVERYWHERE, indirect=True)


def test_every_malformed_event_becomes_a_dead_letter_and_the_rest_is_stored(runtime: EmbeddedRunner) -> None:
    broken = [Incoming(raw, None, f"corpus:{name}") for name, (raw, _) in MALFORMED.items()]
    sound = [incoming(completed(f"SO-{n}")) for n in range(len(broken))]
    batch = [item for pair in zip(broken, sound, strict=True) for item in pair]
    (result,) = runtime.ingest_all(batch)
    assert (result.new, result.dead) == (len(broken), len(broken))
    assert len(rows(runtime, orders)) == len(broken)
    found = {row["position"].removeprefix("corpus:"): row for row in rows(runtime, dead_letters)}
    for name, (raw, field) in MALFORMED.items():
        assert found[name]["field"] == field
        assert found[name]["reason"]
        assert VAULT.open_bytes(found[name]["raw"]) == raw


def test_a_source_can_mark_an_event_as_broken(runtime: EmbeddedRunner) -> None:
    fault = BadEvent("'tomorrow' is not a time", "review_creation_date")
    broken = Incoming(b"r1,o1,5,tomorrow", "feedback", "olist_order_reviews_dataset.csv:17", fault)
    for _ in range(2):  # reading the same file again changes nothing
        (result,) = runtime.ingest_all([broken])
        assert result.dead == 1
    (row,) = rows(runtime, dead_letters)
    assert (row["field"], row["position"]) == ("review_creation_date", broken.position)


def test_an_event_received_twice_counts_once(start: Callable[..., EmbeddedRunner]) -> None:
    runtime = start()
    ingest(runtime, completed(), completed(), scanned(time=at(hours=2)))
    before = dump(runtime.engine)
    assert [
        result.duplicates
        for result in runtime.ingest_all(incoming(raw) for raw in (completed(), scanned(time=at(hours=2))))
    ] == [2]
    assert dump(runtime.engine) == before
    assert [row["id"] for row in rows(runtime, journal) if not row["outgoing"]] == [
        "SO-1:completed",
        "SO-1:delivered::021100",
    ]


def test_the_same_id_of_another_source_is_another_event(runtime: EmbeddedRunner) -> None:
    ingest(runtime, completed("SO-1"), completed("SO-1", _={"source": "shop"}))
    assert len(rows(runtime, journal)) == 2


def test_the_database_contains_no_address_and_no_name(runtime: EmbeddedRunner) -> None:
    canary = {"name": "Ana Canary", "phone": "+44 7700 900123", "email": "ana.canary@example.com"}
    ingest(runtime, completed(contacts=[contact(**canary)]), scanned(time=at(hours=2), signed_by="Ben Canary"))
    everything = raw_dump(runtime.engine)
    for secret in ("Canary", "7700", "900123", "ana.canary", "example.com"):
        assert secret not in everything
    (ana,) = opened_people(runtime)
    assert (ana["phone"], ana["name"]) == ("+44 7700 900123", "Ana Canary")
    assert "Ben Canary" in "\n".join(dump(runtime.engine)), "kept, sealed, where it was said"
    assert ana["phone_digest"] == VAULT.phone_digest("+447700900123"), "the same digest for every spelling"
    with pytest.raises(UnsealError), reading(runtime.engine) as connection:
        by_id(connection, Vault(bytes(32)), [ana["key_id"]])


def test_older_data_about_a_person_changes_nothing(runtime: EmbeddedRunner) -> None:
    ingest(runtime, completed("SO-2", time=at(days=1), contacts=[contact(phone="+447700900999")]))
    ingest(runtime, completed("SO-1", time=at(), contacts=[contact(phone="+447700900111")]))
    (ana,) = opened_people(runtime)
    assert ana["phone"] == "+447700900999"


def test_a_persons_newest_number_stays_when_later_events_omit_it(runtime: EmbeddedRunner) -> None:
    silent = completed("SO-3", time=at(days=2), contacts=[contact(phone=None)])
    older, newer = (completed(f"SO-{n}", time=at(days=n), contacts=[contact(phone=f"+44770090000{n}")]) for n in (0, 1))
    for raws in ([silent, newer, older], [older], [silent], [newer], [silent]):
        ingest(runtime, *raws)
    (ana,) = opened_people(runtime)
    assert ana["phone"] == "+447700900001"


def test_an_invalid_number_is_stored_and_not_asked(runtime: EmbeddedRunner) -> None:
    ingest(runtime, completed(contacts=[contact(phone="call the porter")]), scanned(time=at(hours=2)))
    (ana,) = opened_people(runtime)
    assert ana["phone_digest"] is None
    assert ana["phone"] == "call the porter"


@pytest.mark.parametrize(
    "statement",
    [
        "UPDATE answers SET score = 5",
        "DELETE FROM answers",
        "UPDATE claims SET on_time_latest = NULL",
        "DELETE FROM claims",
        "UPDATE asks SET reason = 'historic'",
        "DELETE FROM asks",
        "UPDATE journal SET payload = '{}'",
        "DELETE FROM journal",
        "UPDATE nulls SET delta = 0.5",
    ],
)
def test_recorded_rows_cannot_be_changed_or_deleted(runtime: EmbeddedRunner, statement: str) -> None:
    ingest(
        runtime, completed(), scanned(time=at(hours=2)), answered(time=at(hours=3), arrival="late", score={"value": 2})
    )
    with pytest.raises(Exception, match="append-only"), runtime.engine.begin() as connection:
        connection.execute(text(statement))
