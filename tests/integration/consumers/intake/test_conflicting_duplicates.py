"""An id that is used again for something else: the second event is not lost without a trace."""

import json
from typing import Any

import pytest
from sqlalchemy import text

from pipeline import metrics
from pipeline.consumers.cluster.kafka.events import KafkaRecord
from pipeline.consumers.cluster.kafka.events import incoming as from_kafka
from pipeline.consumers.cluster.runner import ClusterRunner
from pipeline.consumers.intake import CONFLICT, Incoming
from pipeline.consumers.runtime import dead_letter_retry
from pipeline.consumers.runtime.embedded import EmbeddedRunner
from pipeline.domain.events.contract import BadEvent
from pipeline.domain.events.received import read
from pipeline.store.people.vault import Vault
from pipeline.store.schema.journal import dead_letters, journal
from pipeline.store.schema.orders import orders
from tests.support.builders import at, completed, contact, repromised, scanned
from tests.support.modes import EVERYWHERE
from tests.support.running.embedded import incoming, ingest
from tests.support.stored import rows

everywhere = pytest.mark.parametrize("database_url", EVERYWHERE, indirect=True)


def received(runtime: EmbeddedRunner) -> list[dict[str, Any]]:
    return [row for row in rows(runtime, journal) if row["source"] == "erp"]


@everywhere
@pytest.mark.parametrize("together", [True, False], ids=["in one batch", "one after the other"])
def test_an_id_used_again_for_something_else_is_a_dead_letter(runtime: EmbeddedRunner, together: bool) -> None:
    others = [
        scanned(event_id="7"),
        repromised("SO-1", at(), at(days=1), event_id="7"),
        completed(event_id="7", contacts=[contact(phone="+447700900124")]),
        completed(event_id="7", time=at(hours=-1), promised_at=at(hours=3)),
        completed("SO-2", event_id="7"),
    ]
    before = metrics.INTAKE.labels("conflicts")._value.get()
    first, same = incoming(completed(event_id="7"), at()), incoming(completed(event_id="7"), at(hours=5))
    batch = [first, same, *(incoming(raw, at()) for raw in others)]
    results = [runtime.ingest(batch)] if together else [runtime.ingest([one]) for one in batch]
    assert [sum(getattr(result, name) for result in results) for name in ("new", "duplicates", "dead")] == [1, 1, 0]
    assert sum(len(result.conflicts) for result in results) == len(others)
    assert metrics.INTAKE.labels("conflicts")._value.get() == before + len(others)
    if together:
        assert results[0].conflicts == (2, 3, 4, 5, 6)
    letters = rows(runtime, dead_letters)
    assert len(letters) == len(others)
    assert {letter["field"] for letter in letters} == {"id"}
    assert all(letter["reason"].startswith("conflicting duplicate: ") for letter in letters)
    assert len(received(runtime)) == 1
    assert [row["order_id"] for row in rows(runtime, orders)] == ["SO-1"]


@everywhere
def test_what_differs_only_in_writing_or_extensions_is_the_same_event(runtime: EmbeddedRunner) -> None:
    parsed = json.loads(completed(weight=2.50))
    spellings = [
        parsed,
        dict(reversed(parsed.items())),
        parsed | {"traceparent": "00-1", "data": dict(reversed(parsed["data"].items()))},
        parsed | {"time": "2026-03-02T10:00:00+01:00", "dataschema": None},
    ]
    texts = [json.dumps(each, indent=indent, ensure_ascii=False) for each in spellings for indent in (None, 1)]
    texts.append(texts[0].replace("2.5", "25e-1"))
    (result,) = runtime.ingest_all(incoming(each.encode(), at()) for each in texts)
    assert (result.new, result.duplicates, result.conflicts) == (1, len(texts) - 1, ())
    assert rows(runtime, dead_letters) == []


@everywhere
def test_an_event_without_a_time_is_the_same_whenever_it_is_received(runtime: EmbeddedRunner) -> None:
    parsed = json.loads(completed())
    del parsed["time"]
    for hours in (1, 2):
        ingest(runtime, json.dumps(parsed).encode(), received_at=at(hours=hours))
    assert len(received(runtime)) == 1
    assert rows(runtime, dead_letters) == []
    (stored,) = received(runtime)
    payload = json.loads(stored["payload"])
    assert (payload["time"], payload["timeassumed"]) == ("2026-03-02T10:00:00Z", True)


@everywhere
def test_events_from_before_there_were_digests_stay_duplicates(runtime: EmbeddedRunner) -> None:
    ingest(runtime, completed(event_id="7"))
    (row,) = received(runtime)
    with runtime.engine.begin() as connection:
        if connection.dialect.name == "sqlite":
            (trigger,) = connection.execute(
                text("SELECT name, sql FROM sqlite_master WHERE type = 'trigger' AND name LIKE 'journal%update%'")
            ).all()
            connection.execute(text(f"DROP TRIGGER {trigger.name}"))
            connection.execute(text("UPDATE journal SET content_digest = NULL"))
            connection.execute(text(trigger.sql))
        else:
            connection.execute(text("ALTER TABLE journal DISABLE TRIGGER USER"))
            connection.execute(text("UPDATE journal SET content_digest = NULL"))
            connection.execute(text("ALTER TABLE journal ENABLE TRIGGER USER"))
    result = runtime.ingest([incoming(scanned(event_id="7"), at())])
    assert (result.duplicates, result.conflicts) == (1, ())
    assert row["content_digest"] is not None


@everywhere
def test_reprocessing_keeps_conflicting_duplicates(runtime: EmbeddedRunner) -> None:
    ingest(runtime, completed(event_id="7"))
    fault = BadEvent("refused by an earlier version")
    runtime.ingest([Incoming(completed("SO-2", event_id="7"), "orders", "kafka:orders:0:1", fault, at())])
    runtime.ingest([Incoming(completed(event_id="7"), "orders", "kafka:orders:0:2", fault, at())])
    runtime.ingest([Incoming(completed("SO-3"), "orders", "kafka:orders:0:3", fault, at())])
    result = dead_letter_retry.retry(runtime.store, runtime, lambda: at(days=1))
    assert (result.new, result.duplicates, len(result.conflicts)) == (1, 1, 1)
    assert [letter["position"] for letter in rows(runtime, dead_letters)] == ["kafka:orders:0:1"]


@everywhere
def test_a_digest_depends_on_the_master_key(runtime: EmbeddedRunner) -> None:
    """A plain hash could be compared with those of all phone numbers."""
    ingest(runtime, completed(event_id="7"))
    (row,) = received(runtime)
    content = read(completed(event_id="7")).content
    assert row["content_digest"] == runtime.store.vault.content_digest(content)
    assert row["content_digest"] != Vault(bytes(32)).content_digest(content)
    assert row["content_digest"] != content.hex()


@pytest.mark.parametrize("database_url", ["cluster"], indirect=True)
def test_a_worker_makes_dead_letters_of_conflicting_records(runtime: EmbeddedRunner) -> None:
    worker = ClusterRunner(runtime.store, runtime.setup)
    raws = [completed(event_id="7"), completed(event_id="7"), scanned(event_id="7"), scanned("SO-2", event_id="8")]
    batch = [
        from_kafka(KafkaRecord(topic, 0, number, raw, ()), received_at=at())
        for number, (topic, raw) in enumerate(zip(("orders", "orders", "deliveries", "deliveries"), raws, strict=True))
    ]
    for new in (2, 0):  # the records are read again after a lost commit of their offsets
        result = worker.process_events(batch, at())
        assert result.new == new
        assert [dead.bad for dead in result.dead] == [CONFLICT]
        (letter,) = rows(runtime, dead_letters)
        assert (letter["position"], letter["field"]) == ("kafka:deliveries:0:2", "id")
