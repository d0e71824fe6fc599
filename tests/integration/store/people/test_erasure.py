"""Access and erasure: everything about a person can be shown, and destroyed without changing a figure."""

import json
from collections.abc import Callable
from datetime import timedelta
from typing import Any

import pytest
from sqlalchemy import select, text

from pipeline.cli.output.access.person import export_html, export_json
from pipeline.consumers.runtime.embedded import EmbeddedRunner
from pipeline.consumers.runtime.retention import Ages, delete_expired
from pipeline.domain.access.permissions import Role
from pipeline.domain.access.principal import LOCAL, Principal, user_principal
from pipeline.domain.access.scopes import EVERYTHING, Scope, parse_scope
from pipeline.domain.reports.contract import report_json
from pipeline.store.asks import phone_messages
from pipeline.store.asks.phone_messages import Recipient
from pipeline.store.db.engine import reading
from pipeline.store.people import erasure, personal_data, persons, word_index
from pipeline.store.people.personal_data import NotASecondUser, PersonUnknown
from pipeline.store.people.persons import PersonKey
from pipeline.store.reads import reports
from pipeline.store.schema.asks import asks
from pipeline.store.schema.people import erasures, opt_outs, people, sealing_keys
from pipeline.store.schema.users import acts
from pipeline.store.users import users
from tests.support.builders import answered, at, completed, contact, scanned
from tests.support.dump import dump, raw_dump
from tests.support.modes import EVERYWHERE
from tests.support.requests import installation
from tests.support.requests.conversations import receive_text
from tests.support.requests.installation import PHONE
from tests.support.running.embedded import LEVELS, VAULT, ingest
from tests.support.stored import opened_people, rows

pytestmark = pytest.mark.parametrize("database_url", EVERYWHERE, indirect=True)

ANA = PersonKey("A-1", "ana")
MANAGEMENT = user_principal("mia", Role.MANAGEMENT, EVERYTHING)
OPERATIONS = user_principal("otto", Role.OPERATIONS, EVERYTHING)
NOW = at(days=30)


def add_user(runtime: EmbeddedRunner, principal: Principal) -> None:
    assert principal.role is not None
    with runtime.engine.begin() as connection:
        users.add(connection, principal.name, principal.role, principal.scope, at())


def known_ana(runtime: EmbeddedRunner) -> None:
    """A person with a name, addresses, an answer by form and one by text, a note, and a message on the demo's phone."""
    installation.sent(runtime, name="Ana Canary", phone=PHONE, email="ana@canary.example", mobile="Canary 7")
    ingest(
        runtime,
        scanned(time=at(hours=1), note="left with Canary", status="attempted"),
        answered(time=at(hours=5), arrival="late", score={"value": 3}, comment="Canary: box 3 was wet"),
    )
    receive_text(runtime, "and Canary is unhappy", at(hours=6))
    with runtime.engine.begin() as connection:
        phone_messages.store_message(connection, VAULT, PHONE, "Canary?", at(hours=1), Recipient("A-1", "ana", "SO-1"))


def erase(runtime: EmbeddedRunner, person: PersonKey = ANA) -> None:
    add_user(runtime, MANAGEMENT)
    [asked] = personal_data.request_erasure(runtime.engine, OPERATIONS, [person], "", NOW)
    personal_data.confirm_erasure(runtime.store, LEVELS, MANAGEMENT, asked.id, "", NOW)


def figures(runtime: EmbeddedRunner) -> tuple[Any, ...]:
    with reading(runtime.engine) as connection:
        fleet, segments = reports.total(connection, LOCAL), reports.by_segment(connection, LOCAL, "depot")
    counted = report_json(fleet, segments)
    erased = {value: row.pop("erased") for value, row in counted["segments"].items()}
    return counted["total"].pop("erased"), erased, counted


def opened(runtime: EmbeddedRunner) -> str:
    return "\n".join(dump(runtime.engine))


def test_an_export_shows_everything_that_is_known(runtime: EmbeddedRunner) -> None:
    known_ana(runtime)
    found = personal_data.export(runtime.store, LOCAL, ANA, "command line", NOW)
    [data] = json.loads(export_json([found]))
    assert (data["name"], data["phone"], data["email"]) == ("Ana Canary", PHONE, "ana@canary.example")
    assert [order["other"] for order in data["orders"]] == [{"mobile": "Canary 7"}]
    assert [question["state"] for question in data["questions"]] == ["answered"]
    assert data["answers"][0]["comment"] == "Canary: box 3 was wet"
    assert [one["text"] for one in data["texts"]] == ["and Canary is unhappy"]
    assert [one["text"] for one in data["messages"]] == ["Canary?"]
    page = export_html([found])
    for words in ("Ana Canary", "box 3 was wet", "and Canary is unhappy", "Canary 7"):
        assert words in page
    [act] = rows(runtime, acts)
    assert (act["what"], act["subject"]) == ("personal_data_read", "A-1/ana")


def test_everybody_who_shares_an_address_is_found_by_it(runtime: EmbeddedRunner) -> None:
    shared = {"id": "A-2"}
    ingest(
        runtime,
        completed("SO-1"),
        completed("SO-2", account=shared, contacts=[contact("ben", email="office@example.com")]),
    )
    both = {ANA, PersonKey("A-2", "ben")}
    for number in (PHONE, "+44 7700 900123", "0044 7700 900123"):
        assert {one.key for one in personal_data.find(runtime.store, LOCAL, number)} == both
    assert [one.key for one in personal_data.find(runtime.store, LOCAL, " Office@example.com")] == [("A-2", "ben")]
    with pytest.raises(PersonUnknown):
        personal_data.find(runtime.store, LOCAL, "+447700900999")


def test_erasure_leaves_no_word_and_changes_no_figure(runtime: EmbeddedRunner) -> None:
    known_ana(runtime)
    with reading(runtime.engine) as connection:
        wrapped = connection.execute(select(sealing_keys.c.wrapped_key)).scalars().all()
    count, segments, before = figures(runtime)
    assert (count, set(segments.values())) == (0, {0})
    erase(runtime)
    assert "Canary" not in opened(runtime), "not even with every key that is left"
    assert opened(runtime).count("destroyed") >= 5
    assert (figures(runtime)[0], figures(runtime)[2]) == (1, before)
    assert figures(runtime)[1] == {"Lyon": 1}
    stored = raw_dump(runtime.engine)
    assert not any(repr(key) in stored for key in wrapped)
    with reading(runtime.engine) as connection:
        assert word_index.answers_with(connection, VAULT, ["box"]) == frozenset()
    assert rows(runtime, people) == []
    [tombstone] = rows(runtime, erasures)
    assert (tombstone["account_id"], tombstone["contact_id"], tombstone["orders"]) == (*ANA, 1)
    assert (tombstone["requested_by"], tombstone["confirmed_by"]) == ("otto", "mia")
    assert [(act["who"], act["what"]) for act in rows(runtime, acts)] == [
        ("otto", "erasure_proposed"),
        ("mia", "erasure_confirmed"),
    ]
    data = personal_data.export(runtime.store, LOCAL, ANA, "", NOW)
    assert "canary" not in export_json([data]).casefold()
    assert data.answers[0]["score"] == 3, "scores stay"


def test_a_tombstone_cannot_be_removed_or_changed(runtime: EmbeddedRunner) -> None:
    known_ana(runtime)
    erase(runtime)
    for statement in ("DELETE FROM erasures", "UPDATE erasures SET contact_id = 'ben'"):
        with pytest.raises(Exception, match="append-only"), runtime.engine.begin() as connection:
            connection.execute(text(statement))


def test_erasure_needs_a_second_user_who_is_not_interested(runtime: EmbeddedRunner) -> None:
    known_ana(runtime)
    lyon = user_principal("lea", Role.OPERATIONS, parse_scope(Role.OPERATIONS, ["depot=Lyon"]))
    for user in (OPERATIONS, MANAGEMENT, lyon):
        add_user(runtime, user)
    [asked] = personal_data.request_erasure(runtime.engine, MANAGEMENT, [ANA], "", NOW)
    assert asked.due_at is not None, "management alone: nobody else could confirm it"
    other = user_principal("max", Role.MANAGEMENT, Scope())
    add_user(runtime, other)
    [again] = personal_data.request_erasure(runtime.engine, MANAGEMENT, [ANA], "", NOW)
    assert again.id == asked.id, "one at a time"
    for principal in (LOCAL, MANAGEMENT, OPERATIONS, lyon):
        with pytest.raises(NotASecondUser):
            personal_data.confirm_erasure(runtime.store, LEVELS, principal, asked.id, "", NOW)
    assert "Canary" in opened(runtime)
    personal_data.confirm_erasure(runtime.store, LEVELS, other, asked.id, "", NOW)
    assert "Canary" not in opened(runtime)
    assert personal_data.confirm_erasure(runtime.store, LEVELS, other, asked.id, "", NOW).done_at == NOW, "once"
    with pytest.raises(PersonUnknown):
        personal_data.confirm_erasure(runtime.store, LEVELS, other, "nothing", "", NOW)


def test_without_a_possible_second_user_it_takes_effect_after_seven_days(runtime: EmbeddedRunner) -> None:
    known_ana(runtime)
    ingest(runtime, completed("SO-8", at(days=40)))  # time goes on
    [asked] = personal_data.request_erasure(runtime.engine, LOCAL, [ANA], "", NOW)
    assert asked.due_at == NOW + timedelta(days=7)
    ages = Ages(timedelta(days=90), timedelta(days=30))
    assert delete_expired(runtime.store, LEVELS, ages, NOW + timedelta(days=6)).erased == 0
    assert "Canary" in opened(runtime)
    assert delete_expired(runtime.store, LEVELS, ages, NOW + timedelta(days=7)).erased == 1
    assert "Canary" not in opened(runtime)


def test_a_later_event_makes_a_new_person_and_joins_nothing_of_before(runtime: EmbeddedRunner) -> None:
    known_ana(runtime)
    erase(runtime)
    newer = contact(name="Ana Again")
    ingest(
        runtime,
        completed("SO-2", at(days=31), contacts=[newer]),
        scanned("SO-2", at(days=31)),
        answered("SO-2", at(days=32), comment="new words"),
    )
    (ana,) = opened_people(runtime)
    assert (ana["name"], ana["phone"]) == ("Ana Again", PHONE)
    data = personal_data.export(runtime.store, LOCAL, ANA, "", NOW)
    said = [answer["comment"] for answer in data.answers]
    assert said[-1] == "new words"
    assert set(said[:-1]) == {None}
    assert [row["reason"] for row in rows(runtime, asks) if row["order_id"] == "SO-2"] == [None], "asked again"


def test_an_erased_person_may_be_asked_again_at_once_but_a_rest_of_somebody_else_holds(
    start: Callable[..., EmbeddedRunner],
) -> None:
    runtime = start()
    installation.sent(runtime, sent_at=at(hours=2))
    erase(runtime)
    ingest(runtime, completed("SO-2", at(days=30, hours=1)), scanned("SO-2", at(days=30, hours=2)))
    assert [row["reason"] for row in rows(runtime, asks) if row["order_id"] == "SO-2"] == [None]


def test_an_opt_out_of_the_address_holds_after_the_erasure(runtime: EmbeddedRunner) -> None:
    known_ana(runtime)
    receive_text(runtime, "STOP", at(hours=7))
    erase(runtime)
    digests = {VAULT.phone_digest(PHONE), VAULT.email_digest("ana@canary.example")}
    assert {row["digest"] for row in rows(runtime, opt_outs)} == digests, "a STOP covers all addresses of a contact"
    ingest(runtime, completed("SO-2", at(days=31)), scanned("SO-2", at(days=31)))
    assert [row["reason"] for row in rows(runtime, asks) if row["order_id"] == "SO-2"] == ["opted_out"]


def test_words_of_others_stay(runtime: EmbeddedRunner) -> None:
    two = [contact(name="Ana Canary"), contact("ben", name="Ben Other", phone=PHONE)]
    ingest(
        runtime,
        completed(contacts=two),
        scanned(time=at(hours=2), note="third floor"),
        answered(time=at(hours=3), comment="Canary was here"),
        answered(time=at(hours=4), contact_id="ben", comment="Ben was here"),
    )
    erase(runtime)
    left = opened(runtime)
    assert "Canary" not in left
    assert "Ben was here" in left
    assert "third floor" in left, "the order names somebody else, too"
    assert [row["name"] for row in opened_people(runtime)] == ["Ben Other"]


def test_words_said_before_the_order_was_known_are_erased_too(runtime: EmbeddedRunner) -> None:
    ingest(runtime, answered(time=at(), comment="early Canary"), completed(time=at(hours=1)))
    ingest(runtime, answered("SO-1", at(hours=3), contact_id="zoe", comment="nobody named her"))
    erase(runtime)
    assert "Canary" not in opened(runtime)
    assert "nobody named her" in opened(runtime)
    with reading(runtime.engine) as connection:
        assert persons.orders_of(connection, PersonKey("A-1", "zoe")) == ["SO-1"]


def test_contacts_whom_no_event_names_any_more_are_erased_by_their_age(runtime: EmbeddedRunner) -> None:
    known_ana(runtime)
    ingest(runtime, completed("SO-8", at(days=400), contacts=[contact("ben", name="Ben Other")]))
    ages = Ages(timedelta(days=90), timedelta(days=30), persons=timedelta(days=365))
    assert delete_expired(runtime.store, LEVELS, ages, at(days=300)).erased == 0
    assert delete_expired(runtime.store, LEVELS, ages, at(days=400)).erased == 1
    assert "Canary" not in opened(runtime)
    assert "Ben Other" in [row["name"] for row in opened_people(runtime)]
    assert figures(runtime)[0] == 0, "counted is what somebody asked for"


def test_texts_of_strangers_are_forgotten_by_their_age(runtime: EmbeddedRunner) -> None:
    known_ana(runtime)
    receive_text(runtime, "who is Canary?", at(days=1), phone="+447700900999")
    ingest(runtime, completed("SO-8", at(days=400)))
    ages = Ages(timedelta(days=90), timedelta(days=30), texts=timedelta(days=365))
    assert delete_expired(runtime.store, LEVELS, ages, at(days=400)).texts == 1
    assert "who is Canary" not in opened(runtime)
    assert delete_expired(runtime.store, LEVELS, ages, at(days=400)).texts == 0


def test_an_erasure_stands_once(runtime: EmbeddedRunner) -> None:
    known_ana(runtime)
    erase(runtime)
    with reading(runtime.engine) as connection:
        assert erasure.pending(connection) == []
        assert [one.person for one in erasure.done(connection, 5)] == [ANA]
