"""Words are sealed at the door: what people wrote is stored as ciphertext only, under keys that are made once."""

import json
from typing import Any

import pytest
from sqlalchemy import select

from pipeline.consumers.intake import Incoming
from pipeline.consumers.runtime.embedded import EmbeddedRunner
from pipeline.store.db.engine import reading
from pipeline.store.people import word_index
from pipeline.store.people.vault import key_id_of
from pipeline.store.schema.answers import answers
from pipeline.store.schema.asks import asks
from pipeline.store.schema.journal import dead_letters, journal
from pipeline.store.schema.orders import orders
from pipeline.store.schema.people import people, sealing_keys
from tests.support.builders import answered, at, cancelled, completed, contact, repromised, scanned, tracked
from tests.support.dump import raw_dump
from tests.support.inputs.malformed import changed
from tests.support.modes import EVERYWHERE
from tests.support.running.embedded import VAULT, ingest
from tests.support.stored import rows

pytestmark = pytest.mark.parametrize("database_url", EVERYWHERE, indirect=True)

LONGEST = "\u4e16" * 8_000  # three bytes each: sealed, it is four times as long as the contract allows


def payloads(runtime: EmbeddedRunner) -> list[dict[str, Any]]:
    return [json.loads(row["payload"]) for row in rows(runtime, journal) if not row["outgoing"]]


def test_no_word_of_any_event_is_stored_readable(runtime: EmbeddedRunner) -> None:
    ingest(
        runtime,
        completed(
            contacts=[contact(name="Ana Canary", mobile="+44 7700 900999 Canary")],
            memo={"Canary": ["said Canary"]},
            account={"id": "A-1", "vat": "Canary"},
            lines=[{"sku": "GLV-9", "ordered": 10, "engraving": "Canary"}],
            _={"subject": "about Canary", "canaryext": "Canary"},
        ),
        repromised("SO-1", at(hours=1), at(hours=6), reason="Canary is ill", by="Ben Canary"),
        scanned(time=at(hours=2), note="left with Canary", signed_by="Canary", status="attempted"),
        scanned(time=at(hours=3)),
        tracked("NX 77", at(hours=3), note="Canary, third floor"),
        answered(time=at(hours=4), arrival="late", comment="Canary: box 3 was wet"),
        answered("SO-9", time=at(hours=4), arrival="late", comment="Canary, before its order"),
        cancelled("SO-2", at(hours=5), reason="Canary changed her mind"),
    )
    stored = raw_dump(runtime.engine)
    assert "Canary" not in stored
    assert "900999" not in stored
    assert stored.count("Nordex") > 0, "what is no word stays readable"
    texts = json.dumps(payloads(runtime))
    for words in ("said Canary", "is ill", "left with", "third floor", "box 3", "before its order", "changed her mind"):
        assert words in texts, "nothing is lost: it can be opened"
    assert [row["comment"] for row in rows(runtime, answers)] == ["Canary: box 3 was wet", "Canary, before its order"]


def test_a_persons_key_is_made_once_and_survives_every_later_event(runtime: EmbeddedRunner) -> None:
    ingest(runtime, completed(), scanned(time=at(hours=2)), answered(time=at(hours=3), comment="first words"))
    newer = contact(phone="+447700900777", name="Ana Roux")
    ingest(
        runtime, completed("SO-2", at(days=1), contacts=[newer]), answered("SO-2", at(days=2), comment="later words")
    )
    with reading(runtime.engine) as connection:
        made = connection.execute(select(sealing_keys).where(sealing_keys.c.kind == "person")).all()
        (person,) = connection.execute(select(people)).all()
        assert [row.key_id for row in made] == [person.key_id]
        tokens = connection.execute(select(answers.c.comment)).scalars().all()
        assert {key_id_of(token) for token in tokens} == {person.key_id}, "both answers, under the person's key"
    assert {row["comment"] for row in rows(runtime, answers)} == {"first words", "later words"}


def test_the_longest_words_are_accepted_and_longer_ones_are_not(runtime: EmbeddedRunner) -> None:
    ingest(
        runtime,
        completed(),
        scanned(time=at(hours=2), note=LONGEST),
        answered(time=at(hours=3), comment=LONGEST),
        answered(time=at(hours=4), comment=LONGEST + "x"),
    )
    assert [row["comment"] for row in rows(runtime, answers)] == [LONGEST]
    (refused,) = rows(runtime, dead_letters)
    assert (refused["field"], refused["reason"]) == ("data.comment", "Expected `str` of length <= 8000")


def test_a_text_that_looks_sealed_is_sealed_like_any_other(runtime: EmbeddedRunner) -> None:
    pretended = "sealed:" + "0" * 24 + ":AAAA"
    ingest(runtime, completed(sealed=pretended), answered(time=at(hours=3), comment=pretended))
    assert pretended not in raw_dump(runtime.engine)
    assert [row["comment"] for row in rows(runtime, answers)] == [pretended]


def test_a_sender_cannot_say_that_there_is_a_comment(runtime: EmbeddedRunner) -> None:
    ingest(runtime, completed(), answered(time=at(hours=3), arrival="late", has_comment=True))
    assert "has_comment" not in payloads(runtime)[-1]["data"]


@pytest.mark.parametrize(
    "raw",
    [
        changed("contacts.0.role", "Canary"),
        changed("timezone", "Canary"),
        changed("promised_at", "Canary 123"),
        changed("lines.0.ordered", "Canary"),
        changed("Canary 1", {"\u00e9": "\x00"}),
        changed("memo", {"ana@canary.example": {"Canary 7": "\x00"}}),
        completed().replace(b"order.completed", b"Canary"),
        completed().replace(b'"time":"2026-03-02T09:00:00Z"', b'"time":"Canary"'),
        scanned(status="Canary"),
        b"Canary",
        tracked("#", note="Canary"),
    ],
)
def test_the_reason_of_a_dead_letter_quotes_nothing_of_the_event(runtime: EmbeddedRunner, raw: bytes) -> None:
    for _ in runtime.ingest_all([Incoming(raw, None, "test:1")]):
        pass
    (row,) = rows(runtime, dead_letters)
    for column in ("reason", "field"):
        assert "canary" not in row[column].casefold()
    assert row["reason"]


def test_answers_are_found_by_their_words_and_by_their_beginnings(runtime: EmbeddedRunner) -> None:
    ingest(
        runtime,
        completed(),
        answered(time=at(hours=3), comment="Karton durchnässt, Fahrer war nett"),
        answered(time=at(hours=4), contact_id="ben", comment="Der Fahrer kam nie"),
    )
    with reading(runtime.engine) as connection:
        first, second = connection.execute(
            select(journal.c.seq).where(journal.c.type == "feedback.received").order_by(journal.c.seq)
        ).scalars()

        def found(*words: str, beginnings: tuple[str, ...] = ()) -> set[int]:
            return set(word_index.answers_with(connection, VAULT, words, beginnings))

        assert found("FAHRER") == {first, second}
        assert found("durchnasst") == {first}, "without accents"
        assert found("fahrer", "nie") == {second}
        assert found(beginnings=("durch",)) == {first}
        assert found("durch") == set(), "a word is not a beginning"
        assert found(beginnings=("du",)) == set(), "fewer than three letters"
        assert found() == set()
    assert "fahrer" not in raw_dump(runtime.engine).casefold()


def test_facts_hold_the_words_sealed_and_decisions_do_not_depend_on_them(runtime: EmbeddedRunner) -> None:
    ingest(runtime, completed(), scanned(time=at(hours=2), note="left at the gate"))
    (order,) = rows(runtime, orders)
    assert "left at the gate" in order["facts"]
    assert [row["reason"] for row in rows(runtime, asks)] == [None]
