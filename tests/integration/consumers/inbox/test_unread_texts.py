"""Texts that a person has to read, and whose question a text answers."""

from datetime import datetime
from itertools import count
from typing import Any

import pytest

from pipeline.consumers.conversation import handling
from pipeline.consumers.conversation.texts import Inbound, ReplyResult
from pipeline.consumers.runtime.embedded import EmbeddedRunner
from pipeline.domain.answers.replies import PlainReader
from pipeline.store.schema.answers import answers
from pipeline.store.schema.inbox import inbox
from tests.support.builders import at, completed, scanned
from tests.support.modes import EVERYWHERE
from tests.support.requests import installation
from tests.support.requests.installation import PHONE
from tests.support.running.embedded import VAULT, ingest
from tests.support.stored import counters, published, rows

pytestmark = pytest.mark.parametrize("database_url", EVERYWHERE, indirect=True)
STRANGER = "+447700900999"
_numbers = count(1)


def text(
    runtime: EmbeddedRunner, words: str, when: datetime, phone: str = PHONE, media: tuple[str, ...] = ()
) -> ReplyResult:
    sender = VAULT.phone_digest(phone)
    inbound = Inbound("twilio", f"SM{next(_numbers)}", sender, words, when, media=media)
    with runtime.engine.begin() as connection:
        result = handling.handle_text(connection, runtime.store, inbound, PlainReader(), when)
    runtime.ingest(result.events)
    return result


def waiting(runtime: EmbeddedRunner) -> list[tuple[str, str | None]]:
    found = sorted(rows(runtime, inbox), key=lambda row: row["received_at"])
    return [(row["reason"], row["order_id"]) for row in found if row["closed_at"] is None]


def stated(runtime: EmbeddedRunner, order_id: str = "SO-1") -> dict[str, Any]:
    given = [row for row in rows(runtime, answers) if row["order_id"] == order_id]
    return max(given, key=lambda row: (row["answered_at"], row["received_at"]))


def finished(runtime: EmbeddedRunner) -> None:
    """A conversation that has come to its end."""
    installation.sent(runtime)
    for n, words in enumerate(("1", "9", "no")):
        text(runtime, words, at(hours=3 + n / 60))


def test_an_unclear_text_gets_one_gentle_question_then_a_person(runtime: EmbeddedRunner) -> None:
    installation.sent(runtime)
    first, second = (text(runtime, "7", at(hours=hours)).reply for hours in (3, 4))
    assert first is not None
    assert second is not None
    assert "on time and complete" in first
    assert "a person will read" in second
    assert waiting(runtime) == [("unclear", "SO-1"), ("unclear", "SO-1")]
    assert {pair["verdict"] for pair in published(runtime, "fulfilment.compared")} == {"not_comparable"}
    assert counters(runtime)["unread"] == 1
    third = text(runtime, "hm", at(hours=5)).reply
    assert third is None or third not in (first, second), "nothing is said twice"


def test_an_unclear_text_is_a_reply_that_nobody_has_understood(runtime: EmbeddedRunner) -> None:
    installation.sent(runtime)
    text(runtime, "7", at(hours=3))
    assert (counters(runtime)["answered"], counters(runtime)["unread"]) == (1, 1)
    assert stated(runtime)["comment"] == "7"
    reply = text(runtime, "2", at(hours=4)).reply or ""
    assert "0 (not at all) to 10" in reply, "the conversation goes on"
    assert waiting(runtime) == [], "the same person made it clear"
    assert "unread" not in counters(runtime)
    assert published(runtime, "fulfilment.compared")[-1]["verdict"] == "embellished"


def test_words_that_state_nothing_codable_wait(runtime: EmbeddedRunner) -> None:
    installation.sent(runtime)
    text(runtime, "Please tell the driver about the new gate", at(hours=3))
    assert waiting(runtime) == [("uncoded", "SO-1")]
    text(runtime, "1", at(hours=4))
    assert waiting(runtime) == []


def test_a_comment_after_a_score_is_what_was_asked_for_and_does_not_wait(runtime: EmbeddedRunner) -> None:
    installation.sent(runtime)
    for n, words in enumerate(("1", "9", "Please tell the driver about the new gate")):
        text(runtime, words, at(hours=3 + n / 60))
    assert waiting(runtime) == []


def test_words_after_the_end_wait_and_courtesy_does_not(runtime: EmbeddedRunner) -> None:
    finished(runtime)
    assert text(runtime, "ok thanks", at(hours=4)).reply is None
    assert waiting(runtime) == []
    text(runtime, "When do I get my invoice?", at(hours=5))
    assert waiting(runtime) == [("unasked", "SO-1")]
    assert stated(runtime)["arrival"] == "on_time"


def test_a_stranger_and_a_picture_wait(runtime: EmbeddedRunner) -> None:
    text(runtime, "Where is my parcel?", at(hours=2), phone=STRANGER)
    installation.sent(runtime, sent_at=at(hours=3))
    reply = text(runtime, "", at(hours=4), media=("https://provider.example/media/1",)).reply
    assert "picture" in (reply or "")
    text(runtime, "I am out of the office until Monday. Automatic reply", at(hours=5), phone=STRANGER)
    assert waiting(runtime) == [("unasked", None), ("picture", "SO-1")]


def test_what_is_said_after_our_closing_words_answers_no_older_question(runtime: EmbeddedRunner) -> None:
    installation.sent(runtime, "SO-1", "A" * 22, at(hours=2))
    ingest(runtime, completed("SO-2", time=at(days=8)), scanned("SO-2", time=at(days=8)))
    installation.mark_sent(runtime, "SO-2", "B" * 22, at(days=8))
    for n, words in enumerate(("1", "9", "no", "ok", "thanks", "Sorry, it came late")):
        text(runtime, words, at(days=8, hours=1 + n / 60))
    assert {row["order_id"] for row in rows(runtime, answers)} == {"SO-2"}
    assert stated(runtime, "SO-2")["arrival"] == "late", "the latest word counts"


def test_a_complaint_after_the_end_hears_who_looks_into_it_once(runtime: EmbeddedRunner) -> None:
    finished(runtime)
    assert "Our team is looking into it" in (text(runtime, "Sorry, it came late", at(hours=4)).reply or "")
    assert text(runtime, "very late", at(hours=5)).reply is None


def test_a_text_answers_the_question_that_was_put_last(runtime: EmbeddedRunner) -> None:
    installation.sent(runtime, "SO-1", "A" * 22, at(hours=2))
    text(runtime, "2", at(hours=3))  # the score about SO-1 is open
    ingest(runtime, completed("SO-2", time=at(days=8)), scanned("SO-2", time=at(days=8)))
    installation.mark_sent(runtime, "SO-2", "B" * 22, at(days=8))
    text(runtime, "4", at(days=8, hours=1))
    assert (stated(runtime, "SO-1")["score"], stated(runtime, "SO-2")["arrival"]) == (None, "not_received")


def test_a_text_long_after_the_end_corrects_nothing_and_waits(runtime: EmbeddedRunner) -> None:
    finished(runtime)
    assert text(runtime, "late again", at(days=60)).outcome == "quarantined"
    assert stated(runtime)["arrival"] == "on_time"
    assert waiting(runtime) == [("unasked", None)]
