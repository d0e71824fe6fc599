"""Texts whose webhook was lost are found in the provider's list. Each counts once, in whichever order they arrive."""

from collections.abc import Callable, Iterator
from datetime import datetime, timedelta
from pathlib import Path
from threading import Event

import pytest

from pipeline.consumers.conversation import handling
from pipeline.consumers.conversation.texts import Inbound, ReplyResult
from pipeline.consumers.runtime.embedded import EmbeddedRunner
from pipeline.consumers.sending.inbox_poll import FIRST_POLL, OVERLAP, InboxPoll
from pipeline.domain.access.principal import LOCAL
from pipeline.domain.answers import answer
from pipeline.domain.answers.replies import PlainReader
from pipeline.domain.asking.channels import SMS
from pipeline.notifiers.channels.twilio import sms
from pipeline.notifiers.channels.twilio.sms import SOURCE, TwilioSms
from pipeline.notifiers.port import InboundText, Inbox, LookupUnavailable
from pipeline.store.db.engine import reading
from pipeline.store.reads.answers import StoredAnswer, answers_to, opened
from pipeline.store.schema.answers import answers
from pipeline.store.schema.asks import asks
from pipeline.store.schema.conversations import inbound_messages
from pipeline.store.schema.people import opt_outs
from tests.support.builders import answered, at
from tests.support.limits import PATIENCE
from tests.support.provider import ACCOUNT, TOKEN, Provider
from tests.support.requests import installation
from tests.support.requests.installation import PHONE
from tests.support.requests.messages import message
from tests.support.running.embedded import VAULT, ingest
from tests.support.running.sending import twilio
from tests.support.stored import rows

NOW = at(hours=3)
OURS, ANOTHER = "MG" + "1" * 32, "MG" + "2" * 32


@pytest.fixture
def provider(tmp_path: Path) -> Iterator[Provider]:
    with Provider(tmp_path / "posts") as running:
        yield running


@pytest.fixture
def poll(runtime: EmbeddedRunner, provider: Provider) -> InboxPoll:
    return polling(runtime, twilio(provider.url, 5))


def polling(
    runtime: EmbeddedRunner,
    inbox: Inbox,
    on_committed: Callable[[], object] | None = None,
    every: timedelta = timedelta(minutes=5),
) -> InboxPoll:
    process = on_committed or runtime.process_pending
    return InboxPoll(runtime.store, SMS, inbox, PlainReader(), lambda: NOW, every=every, on_committed=process)


def through_a_service(provider: Provider) -> TwilioSms:
    return TwilioSms(
        (ACCOUNT, TOKEN, ACCOUNT), service=OURS, sender=None, public_url="https://a.example", api=provider.url, total=5
    )


def by_webhook(runtime: EmbeddedRunner, message_id: str, words: str, moment: datetime) -> ReplyResult:
    inbound = Inbound(SOURCE, message_id, VAULT.phone_digest(PHONE), words, moment)
    with runtime.engine.begin() as connection:
        result = handling.handle_text(connection, runtime.store, inbound, PlainReader(), moment)
    runtime.ingest(result.events)
    return result


def test_a_text_whose_webhook_was_lost_is_processed_from_the_list(
    runtime: EmbeddedRunner, provider: Provider, poll: InboxPoll
) -> None:
    installation.sent(runtime)
    provider.text("2", PHONE, at(hours=2.5))
    assert poll.poll(NOW) == 1
    (answer,) = rows(runtime, answers)
    assert (answer["arrival"], answer["answered_at"]) == ("late", at(hours=2.5))
    assert rows(runtime, asks)[0]["state"] == "answered"
    assert rows(runtime, inbound_messages)[0]["reply"] is None, "no reply was sent, so none is recorded"
    assert [poll.poll(NOW + timedelta(minutes=5 * n)) for n in range(1, 4)] == [0, 0, 0]
    assert (len(rows(runtime, answers)), len(rows(runtime, inbound_messages))) == (1, 1)


def test_a_text_received_by_webhook_and_list_counts_once_in_either_order(
    runtime: EmbeddedRunner, provider: Provider, poll: InboxPoll
) -> None:
    installation.sent(runtime)
    first = provider.text("2", PHONE, at(hours=2.5))
    assert by_webhook(runtime, first.sid, "2", at(hours=2.5)).new
    assert poll.poll(NOW) == 0
    second = provider.text("4", PHONE, at(hours=3))
    assert poll.poll(at(hours=3.1)) == 1
    assert not by_webhook(runtime, second.sid, "4", at(hours=3.2)).new
    assert [(row["arrival"], row["score"]) for row in rows(runtime, answers)] == [("late", None), ("late", 4)]


def test_texts_of_the_list_continue_the_conversation(
    runtime: EmbeddedRunner, provider: Provider, poll: InboxPoll
) -> None:
    installation.sent(runtime)
    provider.text("2", PHONE, at(hours=2.5))
    provider.text("4", PHONE, at(hours=2.6))
    assert poll.poll(NOW) == 2, "in the order in which they were written"
    reply = by_webhook(runtime, "SM-later", "Nobody rang the bell.", at(hours=4)).reply
    assert (reply or "").startswith("Your supplier: Thank you. Our team is looking into it.")
    last = max(rows(runtime, answers), key=lambda row: row["answered_at"])
    assert (last["arrival"], last["score"], last["comment"]) == ("late", 4, "Nobody rang the bell.")


def test_a_text_too_new_for_a_lost_webhook_is_left_to_the_webhook(
    runtime: EmbeddedRunner, provider: Provider, poll: InboxPoll
) -> None:
    installation.sent(runtime)
    provider.text("2", PHONE, NOW - timedelta(seconds=30))
    assert poll.poll(NOW) == 0, "a reply is possible only to the webhook"
    assert poll.poll(NOW + timedelta(minutes=5)) == 1


def test_a_stop_found_in_the_list_applies_from_then_on(
    runtime: EmbeddedRunner, provider: Provider, poll: InboxPoll
) -> None:
    installation.sent(runtime)
    provider.text("STOP", PHONE, at(hours=2.5))
    poll.poll(NOW)
    assert [row["digest"] for row in rows(runtime, opt_outs)] == [VAULT.phone_digest(PHONE)]


def test_an_older_start_that_is_found_later_does_not_undo_a_stop(
    runtime: EmbeddedRunner, provider: Provider, poll: InboxPoll
) -> None:
    installation.sent(runtime)
    provider.text("START", PHONE, at(hours=2.2))
    by_webhook(runtime, "SM-stop", "STOP", at(hours=2.5))
    assert poll.poll(NOW) == 1
    assert len(rows(runtime, opt_outs)) == 1
    provider.text("START", PHONE, at(hours=2.6))
    assert poll.poll(NOW) == 1
    assert rows(runtime, opt_outs) == []


def test_the_time_of_the_list_replaces_that_of_a_slow_webhook(
    runtime: EmbeddedRunner, provider: Provider, poll: InboxPoll
) -> None:
    installation.sent(runtime)
    start = provider.text("START", PHONE, at(hours=2.1))
    stop = provider.text("STOP", PHONE, at(hours=2.2))
    by_webhook(runtime, stop.sid, "STOP", at(hours=2.2))
    by_webhook(runtime, start.sid, "START", at(hours=2.5))
    assert rows(runtime, opt_outs) == [], "before the time of the list is known"
    assert poll.poll(NOW) == 0
    assert len(rows(runtime, opt_outs)) == 1, "the STOP was written after it"


def test_a_text_found_late_answers_the_question_of_its_time(
    runtime: EmbeddedRunner, provider: Provider, poll: InboxPoll
) -> None:
    installation.sent(runtime)
    provider.text("1", PHONE, at(hours=2.2))
    by_webhook(runtime, "SM-late", "2", at(hours=2.5))
    assert poll.poll(NOW) == 1
    [newest] = current_answers(runtime)
    assert (newest.arrival, newest.complete, newest.score) == ("late", True, None), "no score of 1"
    reply = by_webhook(runtime, "SM-score", "9", at(hours=4)).reply
    assert (reply or "").startswith("Your supplier: Thank you. Is there anything"), "the score is still open"


def test_a_score_found_late_counts_although_a_comment_was_read_before_it(
    runtime: EmbeddedRunner, provider: Provider, poll: InboxPoll
) -> None:
    installation.sent(runtime)
    by_webhook(runtime, "SM-a", "2", at(hours=2.2))
    provider.text("3, the driver left it in the rain", PHONE, at(hours=2.3))
    by_webhook(runtime, "SM-b", "And Ana was alone.", at(hours=2.4))
    assert poll.poll(NOW) == 1
    [newest] = current_answers(runtime)
    assert (newest.arrival, newest.score and newest.score.value) == ("late", 3)
    assert "Ana was alone" in (newest.comment or "")
    assert "in the rain" in (newest.comment or ""), "no word is lost"


def test_a_form_filled_in_after_a_lost_text_takes_precedence(
    runtime: EmbeddedRunner, provider: Provider, poll: InboxPoll
) -> None:
    installation.sent(runtime)
    provider.text("4", PHONE, at(hours=2.2))
    ingest(runtime, answered(time=at(hours=2.5), arrival="late", score={"value": 7}))
    assert poll.poll(NOW) == 1
    [newest] = current_answers(runtime)
    assert (newest.arrival, newest.score and newest.score.value) == ("late", 7)


def test_a_lost_text_belongs_to_the_conversation_that_was_open_then(
    runtime: EmbeddedRunner, provider: Provider, poll: InboxPoll
) -> None:
    installation.sent(runtime)
    installation.sent(runtime, "SO-2", "B" * 22, at(days=8))
    provider.text("4", PHONE, at(days=8, hours=1))
    ingest(runtime, answered("SO-2", time=at(days=8, hours=2), arrival="on_time", complete=True))
    assert poll.poll(at(days=8, hours=3)) == 1
    assert {row["order_id"] for row in rows(runtime, answers)} == {"SO-2"}, "SO-1 was not the newest open question"


def current_answers(runtime: EmbeddedRunner) -> list[StoredAnswer]:
    with reading(runtime.engine) as connection:
        return opened(connection, VAULT, answer.current_answers(answers_to(connection, LOCAL, "SO-1")))


def test_a_text_answers_the_question_that_was_open_when_it_was_written(
    runtime: EmbeddedRunner, provider: Provider, poll: InboxPoll
) -> None:
    installation.sent(runtime)
    installation.sent(runtime, "SO-2", "B" * 22, at(days=8))
    assert [row["state"] for row in rows(runtime, asks)] == ["sent", "sent"]
    provider.text("2", PHONE, at(days=7.9))
    poll.poll(at(days=8.1))
    assert [row["order_id"] for row in rows(runtime, answers)] == ["SO-1"]


def test_after_a_failed_poll_the_next_one_covers_the_same_period(runtime: EmbeddedRunner, provider: Provider) -> None:
    installation.sent(runtime)
    assert polling(runtime, twilio(provider.url, 5)).poll(at(hours=2)) == 0
    provider.text("2", PHONE, at(hours=2.5))
    blind = polling(runtime, twilio("http://127.0.0.1:1"))
    for day in range(1, 3):
        with pytest.raises(LookupUnavailable):
            blind.poll(at(days=day))
    assert polling(runtime, twilio(provider.url, 5)).poll(at(days=3)) == 1
    assert rows(runtime, answers)[0]["arrival"] == "late", "a late answer still counts"


def test_an_incomplete_list_does_not_move_the_position_of_the_poll(
    runtime: EmbeddedRunner, provider: Provider, monkeypatch: pytest.MonkeyPatch
) -> None:
    installation.sent(runtime)
    for n in range(3):
        provider.text("2", PHONE, at(hours=2.5 + n / 10))
    monkeypatch.setattr(sms, "_PAGE", 1)
    monkeypatch.setattr(provider, "listed", breaking_off(provider, after=2))
    with pytest.raises(LookupUnavailable):
        polling(runtime, twilio(provider.url, 5)).poll(NOW)
    assert rows(runtime, inbound_messages) == []
    monkeypatch.undo()
    assert polling(runtime, twilio(provider.url, 5)).poll(NOW + FIRST_POLL + OVERLAP) == 3


def breaking_off(provider: Provider, after: int) -> Callable[..., object]:
    """The provider's list, which fails after `after` pages."""
    right, pages = provider.listed, iter(range(after))

    def _listed(*arguments: object) -> object:
        next(pages)  # afterwards StopIteration: the stub's connection breaks
        return right(*arguments)  # type: ignore[arg-type]

    return _listed


def test_the_poll_after_a_pause_covers_the_whole_pause(
    start: Callable[..., EmbeddedRunner], provider: Provider, poll: InboxPoll, runtime: EmbeddedRunner
) -> None:
    installation.sent(runtime)
    poll.poll(NOW)
    provider.text("2", PHONE, NOW - OVERLAP / 2)  # the list showed it late
    provider.text("4", PHONE, at(days=2))
    again = polling(start(), twilio(provider.url, 5))
    assert again.poll(at(days=3)) == 2


def test_a_text_of_invalid_characters_is_handled(runtime: EmbeddedRunner, provider: Provider, poll: InboxPoll) -> None:
    installation.sent(runtime)
    provider.text("2, half a smile \ud83d and \x00", PHONE, at(hours=2.5))
    assert poll.poll(NOW) == 1
    assert rows(runtime, inbound_messages)[0]["outcome"] == "answered"


def test_only_texts_to_our_own_number_are_processed(
    runtime: EmbeddedRunner, provider: Provider, poll: InboxPoll
) -> None:
    installation.sent(runtime)
    provider.text("2", PHONE, at(hours=2.5), to="+15005550007")
    assert poll.poll(NOW) == 0


def test_with_a_messaging_service_texts_of_other_services_are_skipped(
    runtime: EmbeddedRunner, provider: Provider
) -> None:
    installation.sent(runtime)
    provider.now = lambda: at(hours=2.2)
    through_a_service(provider).send(message())  # outbound messages are in the same list
    provider.text("no", PHONE, at(hours=2.4), to="+15005550008", service=ANOTHER)
    provider.text("2", PHONE, at(hours=2.5), to="+15005550007", service=OURS)
    provider.text("4", PHONE, at(hours=2.6), to="+15005550009")
    assert polling(runtime, through_a_service(provider)).poll(NOW) == 2
    last = max(rows(runtime, answers), key=lambda row: row["answered_at"])
    assert (last["arrival"], last["score"]) == ("late", 4)


def test_the_background_poll_starts_at_once_and_ends_when_stopped(runtime: EmbeddedRunner, provider: Provider) -> None:
    installation.sent(runtime)
    provider.text("2", PHONE, at(hours=2.5))
    committed = Event()
    running = polling(runtime, twilio(provider.url, 5), committed.set)
    running.start()
    assert committed.wait(PATIENCE)
    assert running.alive
    running.stop()
    assert (running.alive, running.ended.exception()) == (False, None)


class Empty:
    """A list without texts that records the requested periods."""

    def __init__(self) -> None:
        self.asked: list[datetime] = []

    def received(self, since: datetime) -> list[InboundText]:
        self.asked.append(since)
        return []


def test_each_poll_overlaps_the_previous_one(runtime: EmbeddedRunner) -> None:
    inbox = Empty()
    for moment in (NOW, NOW + timedelta(minutes=5), at(days=2)):
        polling(runtime, inbox).poll(moment)
    assert inbox.asked == [NOW - FIRST_POLL - OVERLAP, NOW - OVERLAP, NOW + timedelta(minutes=5) - OVERLAP]


class Broken:
    """A list that is unavailable twice and then raises an unexpected error."""

    def __init__(self) -> None:
        self._errors = iter([LookupUnavailable("OSError"), LookupUnavailable("OSError"), ZeroDivisionError()])

    def received(self, since: datetime) -> list[InboundText]:
        raise next(self._errors)


def test_a_transient_failure_does_not_end_the_poll_and_a_bug_does(runtime: EmbeddedRunner) -> None:
    running = polling(runtime, Broken(), every=timedelta())
    running.start()
    assert isinstance(running.ended.exception(30), ZeroDivisionError)
    running.stop()
