"""Texts to what we send after the answer about a delivery: they state nothing about it."""

from datetime import datetime

from sqlalchemy import Connection

from pipeline.consumers import intake
from pipeline.consumers.cases import following_up
from pipeline.consumers.conversation.answering import event_of, resume
from pipeline.consumers.conversation.matching import MatchingQuestion, key_of
from pipeline.consumers.conversation.texts import Inbound, ReplyOutcome, ReplyResult, event_id_of
from pipeline.consumers.inbox import unread_texts
from pipeline.consumers.intake import Incoming
from pipeline.domain.answers.parsed_reply import printable_part, with_pictures
from pipeline.domain.answers.reading.requests import request_of
from pipeline.domain.answers.replies import Control, ParsedReply, Reader
from pipeline.domain.answers.review import states_something
from pipeline.domain.answers.statement import Statement
from pipeline.domain.events.cloudevents import envelope
from pipeline.notifiers.wording import reply_texts
from pipeline.notifiers.wording.reply_texts import Speaker
from pipeline.store.asks import conversations
from pipeline.store.asks.conversations import DONE, TEXT_SOURCE
from pipeline.store.asks.outcomes import end_follow_up
from pipeline.store.orders.orders import language_and_timezone
from pipeline.store.store import Store


def answer_if_settled(
    connection: Connection,
    store: Store,
    text: Inbound,
    question: MatchingQuestion,
    parsed: ParsedReply,
    now: datetime,
    speaker: Speaker,
) -> ReplyResult:
    """The answer to the question whether a case is settled. It states nothing about the delivery.

    What the conversation about the delivery had left open is not asked any more.
    """
    asked = question.asked
    language, _ = language_and_timezone(connection, asked.order_id, asked.contact_id)
    said = following_up.read_reply(text.text, parsed, language)
    if said is None:
        return ReplyResult(True, "ignored")
    data = following_up.answer_data(asked.order_id, asked.contact_id, text.channel, text.received_at, said)
    raw = envelope(TEXT_SOURCE, event_id_of(text), "feedback.received", text.received_at, data)
    events = [Incoming(raw, "feedback", event_id_of(text), None, now)]
    intake.ingest(connection, store, events, now)
    ended = conversations.load(connection, store.vault, asked.order_id, asked.contact_id, now)._replace(question=DONE)
    conversations.save(connection, key_of(connection, store, text, question), asked.order_id, asked.contact_id, ended)
    end_follow_up(connection, asked.order_id, asked.contact_id)
    reply = reply_texts.SETTLED if said.settled else reply_texts.NOT_SETTLED
    return ReplyResult(True, "answered", speaker.say(reply, language), events)


def write_back(
    connection: Connection,
    store: Store,
    text: Inbound,
    question: MatchingQuestion,
    reader: Reader,
    now: datetime,
    speaker: Speaker,
) -> ReplyResult:
    """A text to a fixed response. Its words are kept with the answer and wait for a person, whatever they may state.

    What the conversation about the delivery had left open is not asked any more.
    """
    asked = question.asked
    language, _ = language_and_timezone(connection, asked.order_id, asked.contact_id)
    parsed = reader.read(text.text, "comment", language)
    control = text.provider_action or parsed.control
    if control is None and parsed.automatic and not text.media:
        return ReplyResult(True, "ignored")
    before = resume(connection, store, asked, now)
    words, wish = _words(text, parsed, control), None if control is not None else request_of(text.text)
    events = []
    if words is not None:
        unread_texts.leave_written_back_to_person(connection, TEXT_SOURCE, event_id_of(text), text, asked, parsed)
        events = [event_of(text, asked, Statement(comment=words), text.received_at, now, wish)]
        intake.ingest(connection, store, events, now)
    if question.open_then is None:
        tries = 1 if words is not None else before.tries if before.question == DONE else 0
        ended = before._replace(question=DONE, tries=tries, changed_at=now)
        conversations.save(
            connection, key_of(connection, store, text, question), asked.order_id, asked.contact_id, ended
        )
    if control is not None:
        reply = None if text.provider_action is not None else reply_texts.CONTROL_REPLIES[control]
        return ReplyResult(True, "control", None if reply is None else speaker.say(reply, language), events)
    said_already = before.question == DONE and before.tries > 0
    reply = reply_texts.DONE_AFTER_PROBLEM if wish is not None else reply_texts.READ_BY_PERSON
    silent = words is None or (wish is None and said_already)
    outcome: ReplyOutcome = "answered" if words is None else "unclear"
    return ReplyResult(True, outcome, None if silent else speaker.say(reply, language), events)


def _words(text: Inbound, parsed: ParsedReply, control: Control | None) -> str | None:
    """What a person has to read of a text; None: nothing, as of thanks or a bare STOP."""
    if control is not None and not text.media:
        return parsed.comment
    said = states_something(parsed) or parsed.unclear or parsed.comment is not None
    words = (printable_part(text.text) or None) if said else None
    return with_pictures(ParsedReply(comment=words), len(text.media)).comment if text.media else words
