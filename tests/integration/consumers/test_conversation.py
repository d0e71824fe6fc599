"""The conversation by text: the next question, the recorded answer, and whose texts count."""

from collections.abc import Callable, Iterator
from datetime import datetime, timedelta
from threading import Barrier, Thread
from typing import Any

import pytest
from sqlalchemy import text

from pipeline.consumers.conversation import handling, texts
from pipeline.consumers.conversation.texts import Inbound
from pipeline.consumers.runtime.embedded import EmbeddedRunner
from pipeline.domain.access.principal import LOCAL
from pipeline.domain.answers.replies import Control, PlainReader
from pipeline.domain.asking.channels import SMS
from pipeline.domain.asking.policy import Policy
from pipeline.notifiers.port import InboundText
from pipeline.store.asks.claiming import Claimer
from pipeline.store.reads.order_record import read_record
from pipeline.store.reads.words import open_record
from pipeline.store.schema.answers import answers
from pipeline.store.schema.asks import asks
from pipeline.store.schema.conversations import conversations, inbound_messages
from pipeline.store.schema.journal import journal
from pipeline.store.schema.people import opt_outs
from tests.support.builders import answered, at, completed, contact, scanned
from tests.support.limits import PATIENCE
from tests.support.modes import EVERYWHERE
from tests.support.requests import installation
from tests.support.requests.conversations import receive_text
from tests.support.requests.installation import PHONE
from tests.support.running.embedded import VAULT, ingest
from tests.support.running.sending import sending_runner
from tests.support.stored import opened, published, rows

pytestmark = pytest.mark.parametrize("database_url", EVERYWHERE, indirect=True)


def current(runtime: EmbeddedRunner) -> dict[str, Any]:
    return max(rows(runtime, answers), key=lambda row: row["answered_at"])


def messages(runtime: EmbeddedRunner) -> list[tuple[str, str | None]]:
    found = sorted(rows(runtime, inbound_messages), key=lambda row: row["received_at"])
    return [(row["outcome"], row["order_id"]) for row in found]


def test_a_conversation_asks_for_the_arrival_then_a_score_then_a_comment(runtime: EmbeddedRunner) -> None:
    installation.sent(runtime)
    assert "0 (not at all) to 10" in (receive_text(runtime, "2", at(hours=3)).reply or "")
    assert "A word is enough" in (receive_text(runtime, "4", at(hours=3.1)).reply or "")
    done = receive_text(runtime, "The driver was in a hurry.", at(hours=3.2))
    assert done.reply == "Your supplier: Thank you. Our team is looking into it."
    assert [(row["arrival"], row["score"], row["comment"]) for row in rows(runtime, answers)] == [
        ("late", None, None),
        ("late", 4, None),
        ("late", 4, "The driver was in a hurry."),
    ]
    assert rows(runtime, asks)[0]["state"] == "answered"
    assert published(runtime, "fulfilment.compared")[-1]["verdict"] == "embellished"
    assert receive_text(runtime, "And the ramp was blocked.", at(hours=3.3)).reply is None, "no question is left"
    assert current(runtime)["comment"] == "The driver was in a hurry.\n\nAnd the ramp was blocked."


def test_what_the_first_reply_contains_is_not_asked_again(runtime: EmbeddedRunner) -> None:
    installation.sent(runtime)
    assert (receive_text(runtime, "2. 6. Nobody rang the bell").reply or "").startswith(
        "Your supplier: Thank you. Our team is looking into it."
    )
    assert (current(runtime)["score"], current(runtime)["comment"]) == (6, "2. 6. Nobody rang the bell")


def test_questions_and_replies_are_in_the_contacts_language(runtime: EmbeddedRunner) -> None:
    installation.sent(runtime, language="fr-FR")
    assert (receive_text(runtime, "oui").reply or "").startswith("Your supplier: Merci. D'après cette livraison")
    assert "Un mot suffit" in (receive_text(runtime, "neuf", at(hours=4)).reply or "")
    assert current(runtime)["score"] == 9


def test_after_two_unreadable_replies_the_conversation_is_left_to_a_person(runtime: EmbeddedRunner) -> None:
    installation.sent(runtime)
    assert (receive_text(runtime, "9").reply or "").startswith("Your supplier: Sorry, did your order arrive")
    assert (
        receive_text(runtime, "hm", at(hours=4)).reply == "Your supplier: Thank you, a person will read what you wrote."
    )
    assert rows(runtime, asks)[0]["state"] == "answered", "a comment is an answer"
    assert current(runtime)["comment"] == "hm"


def test_a_reply_in_words_is_stored_and_the_question_is_repeated(runtime: EmbeddedRunner) -> None:
    installation.sent(runtime)
    assert (receive_text(runtime, "Ana counts it tomorrow").reply or "").startswith("Your supplier: Thank you, noted.")
    assert "0 (not at all)" in (receive_text(runtime, "3", at(hours=4)).reply or "")
    assert (current(runtime)["complete"], current(runtime)["comment"]) == (False, "Ana counts it tomorrow")


def test_an_automatic_reply_changes_nothing(runtime: EmbeddedRunner) -> None:
    installation.sent(runtime)
    result = receive_text(runtime, "Automatic reply: I am out of the office")
    assert (result.outcome, result.reply, rows(runtime, answers)) == ("ignored", None, [])


def test_a_late_answer_still_counts(runtime: EmbeddedRunner) -> None:
    installation.sent(runtime)
    runtime.tick(at(days=20))
    assert rows(runtime, asks)[0]["state"] == "expired"
    receive_text(runtime, "4", at(days=21))
    assert rows(runtime, asks)[0]["state"] == "answered"
    assert current(runtime)["arrival"] == "not_received"


def test_the_same_message_twice_does_nothing(runtime: EmbeddedRunner) -> None:
    installation.sent(runtime)
    assert receive_text(runtime, "1", message_id="SM-a").new
    again = receive_text(runtime, "1", at(hours=4), message_id="SM-a")
    assert (again.new, again.reply, list(again.events)) == (False, None, [])
    assert receive_text(runtime, "4", at(hours=4), message_id="SM-a").new is False, "even with another text"
    assert (len(rows(runtime, answers)), len(rows(runtime, inbound_messages))) == (1, 1)


def test_a_text_belongs_to_the_question_put_last_even_if_an_older_one_is_open(runtime: EmbeddedRunner) -> None:
    installation.sent(runtime, "SO-1", "A" * 22, at(hours=2))
    ingest(runtime, completed("SO-2", time=at(days=8)), scanned("SO-2", time=at(days=8)))
    installation.mark_sent(runtime, "SO-2", "B" * 22, at(days=8))
    for words in ("1", "9", "no"):
        receive_text(runtime, words, at(days=8, hours=1))
    assert {row["order_id"] for row in rows(runtime, answers)} == {"SO-2"}
    receive_text(runtime, "2", at(days=8, hours=2))
    assert {row["order_id"] for row in rows(runtime, answers)} == {"SO-2"}, "SO-1 was not asked about last"


def test_a_text_does_not_answer_a_question_that_was_not_sent(runtime: EmbeddedRunner) -> None:
    ingest(runtime, completed(), scanned(time=at(hours=2)))
    assert rows(runtime, asks)[0]["state"] == "due"
    assert receive_text(runtime, "1").outcome == "quarantined"


def test_an_unknown_sender_is_quarantined_and_gets_no_reply(runtime: EmbeddedRunner) -> None:
    installation.sent(runtime)
    result = receive_text(runtime, "4 nothing came, and tell Ana Canary", phone="+447700900999")
    assert (result.outcome, result.reply) == ("quarantined", None)
    assert rows(runtime, answers) == []
    assert rows(runtime, asks)[0]["state"] == "sent"
    (row,) = rows(runtime, inbound_messages)
    assert row["text"].decode() == "4 nothing came, and tell Ana Canary"
    assert receive_text(runtime, "1", phone="short code").outcome == "quarantined", "not a phone number"


def test_a_text_from_a_reassigned_number_answers_nothing(runtime: EmbeddedRunner) -> None:
    installation.sent(runtime)
    ingest(runtime, completed("SO-9", time=at(days=1), contacts=[contact(phone="+447700900555")]))
    assert receive_text(runtime, "2", at(days=1, hours=1)).outcome == "answered", "the phone that was asked"
    assert receive_text(runtime, "4", at(days=1, hours=2), phone="+447700900555").outcome == "quarantined"


def test_an_answer_by_form_ends_the_conversation(runtime: EmbeddedRunner) -> None:
    installation.sent(runtime)
    ingest(runtime, answered(time=at(hours=3), arrival="late", score={"value": 2}, comment="Too late."))
    result = receive_text(runtime, "and nobody rang the bell", at(hours=4))
    assert result.reply is None
    last = current(runtime)
    assert (last["arrival"], last["score"], last["comment"]) == ("late", 2, "Too late.\n\nand nobody rang the bell")


def test_stop_applies_at_once_to_all_orders_until_start(runtime: EmbeddedRunner) -> None:
    installation.sent(runtime)
    assert "no more messages" in (receive_text(runtime, "Please stop texting me").reply or "")
    assert [row["digest"] for row in rows(runtime, opt_outs)] == [VAULT.phone_digest(PHONE)]
    assert rows(runtime, asks)[0]["state"] == "sent", "an opt-out is no answer"
    ingest(runtime, completed("SO-2", time=at(days=9)), scanned("SO-2", time=at(days=9)))
    reasons = {row["order_id"]: row["reason"] for row in rows(runtime, asks)}
    assert reasons["SO-2"] == "opted_out"
    assert "again" in (receive_text(runtime, "START", at(days=10)).reply or "")
    assert rows(runtime, opt_outs) == []
    assert [outcome for outcome, _ in messages(runtime)] == ["control", "control"], "both texts stay recorded"


def test_a_start_of_the_same_second_has_no_effect_and_says_so(runtime: EmbeddedRunner) -> None:
    installation.sent(runtime, language="fr")
    receive_text(runtime, "STOP", at(hours=3))
    reply = receive_text(runtime, "START", at(hours=3) + timedelta(milliseconds=900)).reply or ""
    assert (len(rows(runtime, opt_outs)), reply.startswith("Your supplier: Vous ne recevrez plus")) == (1, True)
    assert "nouveau" in (receive_text(runtime, "START", at(hours=3) + timedelta(seconds=1)).reply or "")
    assert rows(runtime, opt_outs) == []


def test_a_start_is_not_undone_by_a_later_correction_of_the_order(runtime: EmbeddedRunner) -> None:
    installation.sent(runtime)
    ingest(runtime, answered(time=at(hours=3), arrival="late", opt_out=True))
    assert len(rows(runtime, opt_outs)) == 1
    receive_text(runtime, "START", at(hours=4))
    ingest(runtime, completed(time=at(hours=5), event_id="corrected"))
    assert rows(runtime, opt_outs) == [], "the answer opted out once, before the START"


def test_an_answer_and_an_opt_out_in_one_text_both_count(runtime: EmbeddedRunner) -> None:
    installation.sent(runtime, language="fr")
    result = receive_text(runtime, "2. Merci de ne plus m'écrire")
    assert (result.reply or "").startswith("Your supplier: Vous ne recevrez plus")
    assert current(runtime)["arrival"] == "late"
    assert len(rows(runtime, opt_outs)) == 1


def test_a_comment_about_a_driver_who_did_not_stop_is_no_opt_out(runtime: EmbeddedRunner) -> None:
    installation.sent(runtime)
    receive_text(runtime, "the driver did not stop")
    assert rows(runtime, opt_outs) == []
    assert current(runtime)["comment"] == "the driver did not stop"


@pytest.mark.parametrize(("did", "left"), [("stop", 1), ("help", 0), ("start", 0)])
def test_no_reply_is_sent_where_the_provider_has_replied(runtime: EmbeddedRunner, did: Control, left: int) -> None:
    installation.sent(runtime)
    assert receive_text(runtime, did.upper(), provider_action=did).reply is None
    assert len(rows(runtime, opt_outs)) == left


def test_an_unknown_sender_can_opt_out_and_get_help(runtime: EmbeddedRunner) -> None:
    assert "no more messages" in (receive_text(runtime, "STOP", phone="+447700900999").reply or "")
    assert len(rows(runtime, opt_outs)) == 1
    assert "STOP" in (receive_text(runtime, "HELP", phone="+447700900999").reply or "")


def test_help_leaves_the_question_open(runtime: EmbeddedRunner) -> None:
    installation.sent(runtime)
    assert "how your deliveries went" in (receive_text(runtime, "who is this?").reply or "")
    receive_text(runtime, "1", at(hours=4))
    assert current(runtime)["arrival"] == "on_time"


def test_an_opt_out_is_one_transaction_with_its_text(runtime: EmbeddedRunner, monkeypatch: pytest.MonkeyPatch) -> None:
    installation.sent(runtime)

    def _break(*_: Any) -> None:
        raise RuntimeError("the power is gone")

    monkeypatch.setattr("pipeline.store.people.opt_outs.record", _break)
    with pytest.raises(RuntimeError, match="power"):
        receive_text(runtime, "1, please stop texting me", message_id="SM-b")
    assert (rows(runtime, inbound_messages), rows(runtime, answers), rows(runtime, conversations)) == ([], [], [])
    monkeypatch.undo()
    assert receive_text(runtime, "1, please stop texting me", message_id="SM-b").new
    assert len(rows(runtime, opt_outs)) == 1


def test_a_stored_text_that_was_not_processed_is_processed_later(start: Callable[..., EmbeddedRunner]) -> None:
    runtime = start()
    installation.sent(runtime)
    now = at(hours=3)
    with runtime.engine.begin() as connection:
        inbound = Inbound("twilio", "SM-c", VAULT.phone_digest(PHONE), "4", now)
        handling.handle_text(connection, runtime.store, inbound, PlainReader(), now)
    assert rows(runtime, answers) == [], "the process died before processing"
    restarted = start()
    restarted.process_pending()
    assert current(restarted)["arrival"] == "not_received"


def test_two_texts_at_once_are_handled_one_after_the_other(runtime: EmbeddedRunner) -> None:
    installation.sent(runtime)
    together, failures = Barrier(2), list[BaseException]()

    def _receive(words: str, n: int) -> None:
        try:
            together.wait(PATIENCE)
            receive_text(runtime, words, at(hours=3 + n), message_id=f"SM-{n}")
        except BaseException as error:
            failures.append(error)

    threads = [Thread(target=_receive, args=(words, n)) for n, words in enumerate(("2", "nobody rang the bell"))]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert failures == []
    (kept,) = rows(runtime, conversations)
    assert all(part in kept["said"] for part in ("late", "nobody rang the bell")), "neither overwrote the other"


@pytest.fixture
def sending(database_url: str) -> Iterator[EmbeddedRunner]:
    """A runner of an installation that sends questions."""
    made = sending_runner(database_url, Policy(remind_after=None))
    yield made
    made.engine.dispose()


def test_a_stop_during_sending_comes_either_before_or_after_the_claim(sending: EmbeddedRunner) -> None:
    """Either the claim was committed before the STOP, and that message was in flight, or no message is sent."""

    def _claim(when: datetime) -> list[Any]:
        with sending.engine.begin() as connection:
            return Claimer(VAULT, Policy(), "one", {"sms"}, timedelta(seconds=60)).claim(connection, when, 10).to_send

    for n in range(1, 7):
        order_id, when = f"SO-{n}", at(days=8 * n)
        ingest(sending, completed(order_id, time=when), scanned(order_id, time=when))
        together, claimed = Barrier(2), list[Any]()

        def _race(when: datetime = when, together: Barrier = together, claimed: list[Any] = claimed) -> None:
            together.wait(PATIENCE)
            claimed.extend(_claim(when))

        thread = Thread(target=_race)
        thread.start()
        together.wait(PATIENCE)
        receive_text(sending, "STOP", when)
        thread.join()
        assert _claim(when + timedelta(seconds=5)) == [], "five seconds later no message is sent"
        state = next(row["state"] for row in rows(sending, asks) if row["order_id"] == order_id)
        assert state == ("sending" if claimed else "not_asked")
        receive_text(sending, "START", when + timedelta(hours=1))


def test_a_stop_before_the_claim_prevents_the_sending_of_a_due_question(sending: EmbeddedRunner) -> None:
    ingest(sending, completed(), scanned(time=at(hours=2)))
    assert rows(sending, asks)[0]["state"] == "due"
    receive_text(sending, "STOP", at(hours=2))
    with sending.engine.begin() as connection:
        found = Claimer(VAULT, Policy(), "one", {"sms"}, timedelta(seconds=60)).claim(connection, at(hours=3), 10)
    assert found.to_send == []
    assert (rows(sending, asks)[0]["state"], rows(sending, asks)[0]["outcome"]) == ("not_asked", "opted_out")


@pytest.mark.parametrize(
    "statement", ["UPDATE inbound_messages SET received_at = received_at", "DELETE FROM inbound_messages"]
)
def test_a_text_cannot_be_changed_or_deleted(runtime: EmbeddedRunner, statement: str) -> None:
    receive_text(runtime, "the pallet is broken")
    with pytest.raises(Exception, match="append-only"), runtime.engine.begin() as connection:
        connection.execute(text(statement))


def test_an_answer_by_text_is_one_event_of_ours_in_the_journal(runtime: EmbeddedRunner) -> None:
    installation.sent(runtime)
    receive_text(runtime, "1", message_id="SM-d")
    received = [row for row in rows(runtime, journal) if row["type"] == "feedback.received"]
    assert [(row["source"], row["id"]) for row in received] == [("unvarnished/text", "twilio:SM-d")]


def test_the_last_word_counts_after_the_end_and_after_the_form(runtime: EmbeddedRunner) -> None:
    installation.sent(runtime)
    for hour, words in enumerate(("1", "9", "no"), 3):
        receive_text(runtime, words, at(hours=hour))
    receive_text(runtime, "Sorry, it came late", at(hours=7))
    assert (current(runtime)["arrival"], current(runtime)["score"]) == ("late", 9)
    assert published(runtime, "fulfilment.compared")[-1]["verdict"] == "embellished"
    ingest(runtime, answered(time=at(hours=8), arrival="on_time", complete=True))
    receive_text(runtime, "late", at(hours=9))
    assert current(runtime)["arrival"] == "late"
    assert [row["arrival"] for row in rows(runtime, answers)].count("on_time") >= 2, "both are kept"


def test_a_correction_of_the_option_is_no_score(runtime: EmbeddedRunner) -> None:
    installation.sent(runtime)
    receive_text(runtime, "1", at(hours=3))
    receive_text(runtime, "2, not 1", at(hours=4))
    assert (current(runtime)["arrival"], current(runtime)["score"]) == ("late", None)


def test_a_bare_number_after_the_end_is_left_to_a_person_and_not_dropped_without_a_word(
    runtime: EmbeddedRunner,
) -> None:
    installation.sent(runtime)
    for hour, words in enumerate(("1", "9", "no"), 3):
        receive_text(runtime, words, at(hours=hour))
    assert "a person will read" in (receive_text(runtime, "2", at(hours=7)).reply or "")
    assert (current(runtime)["arrival"], current(runtime)["comment"]) == ("on_time", "2")
    assert receive_text(runtime, "ok thanks", at(hours=8)).reply is None


@pytest.mark.parametrize(
    "words",
    [
        "I'm driving with Focus turned on. I'll see your message when I get where I'm going.",
        "Abwesenheitsnotiz: ich bin bis 3.6. nicht im Büro",
        "Liked “Your supplier: how was order SO-1? 1 OK 2 late 3 missing/damaged 4 not received”",
        "「ありがとうございます」にいいねしました",
    ],
)
def test_what_a_device_wrote_is_no_answer_at_any_question(runtime: EmbeddedRunner, words: str) -> None:
    installation.sent(runtime)
    result = receive_text(runtime, words)
    assert (result.outcome, result.reply, rows(runtime, answers)) == ("ignored", None, [])
    assert rows(runtime, asks)[0]["state"] == "sent", "the reminder stays"
    receive_text(runtime, "1", at(hours=4))
    assert receive_text(runtime, words, at(hours=5)).outcome == "ignored"
    assert len(rows(runtime, answers)) == 1


def test_after_an_opt_out_texts_count_and_get_no_reply(runtime: EmbeddedRunner) -> None:
    installation.sent(runtime)
    assert "no more messages" in (receive_text(runtime, "STOP").reply or "")
    for hour, words in enumerate(("2", "3", "Why do you still write", "STOP"), 4):
        assert receive_text(runtime, words, at(hours=hour)).reply is None, words
    assert (current(runtime)["arrival"], current(runtime)["complete"]) == ("late", None)
    assert "STOP" in (receive_text(runtime, "HELP", at(hours=9)).reply or ""), "help was asked for"
    assert "again" in (receive_text(runtime, "START", at(hours=10)).reply or "")


def test_an_opt_out_covers_every_address_of_the_contact(runtime: EmbeddedRunner) -> None:
    installation.sent(runtime, phone=PHONE, email="ana@roux.example")
    receive_text(runtime, "please no more messages")
    stopped = {row["digest"] for row in rows(runtime, opt_outs)}
    assert stopped == {VAULT.phone_digest(PHONE), VAULT.email_digest("ana@roux.example")}


@pytest.mark.parametrize(
    ("known", "sender"),
    [("+525512345678", "+5215512345678"), ("+551187654321", "+5511987654321"), ("+5491123456789", "+541123456789")],
)
def test_a_number_in_the_other_spelling_of_its_plan_is_the_same_phone(
    runtime: EmbeddedRunner, known: str, sender: str
) -> None:
    installation.sent(runtime, phone=known)
    text = InboundText("twilio", "SM-1", sender, "late. STOP", at(hours=3))
    inbound = texts.inbound(runtime.store, SMS, text)
    with runtime.engine.begin() as connection:
        result = handling.handle_text(connection, runtime.store, inbound, PlainReader(), at(hours=3))
    runtime.ingest(result.events)
    assert current(runtime)["arrival"] == "late"
    stopped = {row["digest"] for row in rows(runtime, opt_outs)}
    assert {VAULT.phone_digest(known), VAULT.phone_digest(sender)} <= stopped


def test_an_opt_out_that_cannot_be_recorded_is_not_confirmed(runtime: EmbeddedRunner) -> None:
    installation.sent(runtime)
    assert receive_text(runtime, "STOP", phone="short code").reply is None
    assert rows(runtime, opt_outs) == []
    assert "no more messages" in (receive_text(runtime, "STOP", phone="+447700900999").reply or "")
    assert [row["digest"] for row in rows(runtime, opt_outs)] == [VAULT.phone_digest("+447700900999")]


def test_feedback_with_the_words_of_an_opt_out_stays_feedback(runtime: EmbeddedRunner) -> None:
    installation.sent(runtime)
    for hour, words in enumerate(("2", "3", "Your drivers never contact us"), 3):
        receive_text(runtime, words, at(hours=hour))
    assert rows(runtime, opt_outs) == []
    assert current(runtime)["comment"] == "Your drivers never contact us"


def test_a_picture_is_noted_thanked_for_and_its_address_kept_sealed(runtime: EmbeddedRunner) -> None:
    installation.sent(runtime)
    receive_text(runtime, "3", at(hours=3))
    inbound = Inbound("twilio", "MM-1", VAULT.phone_digest(PHONE), "", at(hours=4), media=("https://m.example/1",))
    with runtime.engine.begin() as connection:
        result = handling.handle_text(connection, runtime.store, inbound, PlainReader(), at(hours=4))
    runtime.ingest(result.events)
    assert "Thank you for the picture" in (result.reply or "")
    assert current(runtime)["comment"] == "[a picture was sent]"
    (row,) = [row for row in rows(runtime, inbound_messages) if row["message_id"] == "MM-1"]
    with runtime.engine.connect() as connection:
        assert opened(connection, row["media"]) == b'["https://m.example/1"]'
    assert "0 (not at all)" in (receive_text(runtime, "hm", at(hours=5)).reply or ""), "the question is still open"


def test_the_words_of_an_opt_out_can_be_read_beside_the_order(runtime: EmbeddedRunner) -> None:
    installation.sent(runtime)
    receive_text(runtime, "Stop texting me, I never signed up")
    with runtime.engine.connect() as connection:
        sealed = read_record(connection, LOCAL, "SO-1")
        assert sealed is not None
        record = open_record(connection, VAULT, sealed)
    assert [text.words for text in record.texts] == ["Stop texting me, I never signed up"]
