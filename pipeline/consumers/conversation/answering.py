"""A text as the answer to the question about a delivery: first the arrival, then a score, then a comment."""

from datetime import datetime, timedelta

from msgspec import structs
from sqlalchemy import Connection

from pipeline.consumers import intake
from pipeline.consumers.conversation.matching import MatchingQuestion, key_of
from pipeline.consumers.conversation.next_questions import MAX_REPEATS, next_after, next_after_late
from pipeline.consumers.conversation.texts import Inbound, ReplyOutcome, ReplyResult, event_id_of
from pipeline.consumers.inbox import unread_texts
from pipeline.consumers.intake import Incoming
from pipeline.domain.access.principal import SYSTEM
from pipeline.domain.answers.parsed_reply import printable_part, stated_by, with_pictures
from pipeline.domain.answers.reading.requests import request_of
from pipeline.domain.answers.replies import Question, Reader
from pipeline.domain.answers.statement import Statement
from pipeline.domain.events.cloudevents import envelope
from pipeline.domain.events.contract import Request
from pipeline.notifiers.wording import reply_texts
from pipeline.notifiers.wording.reply_texts import Speaker
from pipeline.store.asks import conversations
from pipeline.store.asks.conversations import DONE, TEXT_SOURCE, AskedQuestion, Conversation
from pipeline.store.orders.orders import language_and_timezone
from pipeline.store.reads.answers import current_answer, opened_current
from pipeline.store.store import Store


def answer(
    connection: Connection,
    store: Store,
    text: Inbound,
    question: MatchingQuestion,
    reader: Reader,
    now: datetime,
    speaker: Speaker,
) -> ReplyResult:
    asked = question.asked
    before = resume(connection, store, asked, now)
    language, _ = language_and_timezone(connection, asked.order_id, asked.contact_id)
    open_then = question.open_then or before.question
    parsed = reader.read(text.text, _question_answered(open_then), language)
    control = text.provider_action or parsed.control
    if control is None and parsed.automatic and not text.media:
        return ReplyResult(True, "ignored")
    if text.media:
        parsed = with_pictures(parsed, len(text.media))
    elif parsed.unclear and (before.question == DONE or before.tries >= MAX_REPEATS):
        parsed = structs.replace(
            parsed, comment=printable_part(text.text) or None
        )  # it is not asked again: a person reads it
    stated, answered_at = stated_by(parsed, before.statement.comment), text.received_at
    if question.open_then is None:
        statement = before.statement.amended_by(stated)
        after, reply = next_after(before, statement, parsed, now)
    else:
        statement = structs.replace(stated.amended_by(before.statement), comment=stated.comment)
        after, reply = next_after_late(before, statement, now), None
        added_comment = stated.comment != before.statement.comment
        answered_at = _time_of_late(connection, text, asked, added_comment=added_comment)
    if text.media and not text.text.strip() and question.open_then is None:
        after, reply = before._replace(statement=statement, changed_at=now), reply_texts.PICTURE
    if control is not None:
        # A person who wants help or silence gets no further question; what else the text states still counts.
        after = before._replace(statement=statement, changed_at=now)
        reply = reply_texts.CONTROL_REPLIES[control]
    conversations.save(connection, key_of(connection, store, text, question), asked.order_id, asked.contact_id, after)
    unread_texts.leave_to_person(
        connection, TEXT_SOURCE, event_id_of(text), text, asked, before, statement, parsed, control
    )
    given = statement
    if parsed.unclear and control is None and stated.comment is None:
        # It is asked again, and is a reply all the same: its words count as one that nobody has understood.
        given = structs.replace(statement, comment=printable_part(text.text) or None)
    wish = None if control is not None else request_of(text.text)
    if (
        wish is not None
        and reply in (None, reply_texts.DONE, reply_texts.READ_BY_PERSON)
        and question.open_then is None
    ):
        reply = reply_texts.DONE_AFTER_PROBLEM  # it opens a case
    events = [event_of(text, asked, given, answered_at, now, wish)] if given != before.statement else []
    intake.ingest(connection, store, events, now)
    outcome: ReplyOutcome = "control" if control else "unclear" if parsed.unclear else "answered"
    if reply is None or text.provider_action is not None:
        return ReplyResult(True, outcome, None, events)
    return ReplyResult(True, outcome, speaker.say(reply, language), events)


def resume(connection: Connection, store: Store, asked: AskedQuestion, now: datetime) -> Conversation:
    """The conversation so far. If the person has answered by the form meanwhile, no question is left."""
    conversation = conversations.load(connection, store.vault, asked.order_id, asked.contact_id, now)
    current = current_answer(connection, SYSTEM, asked.order_id, asked.contact_id)
    current = opened_current(connection, store.vault, current)
    if current is None:
        return conversation
    if conversation.statement == Statement() and current.source != TEXT_SOURCE:
        return conversation._replace(statement=current.statement, question=DONE)
    if current.answered_at is not None and current.answered_at > conversation.changed_at:
        return conversation._replace(statement=current.statement)
    return conversation


def _question_answered(question: str) -> Question:
    """The kind of question that a text answers; after the last one every text is a comment."""
    return "arrival" if question == "arrival" else "score" if question == "score" else "comment"


def _time_of_late(connection: Connection, text: Inbound, asked: AskedQuestion, added_comment: bool) -> datetime:
    """The time of the answer by a text that became known late: when it was written.

    Its words join those of the answer that is current by now, so with words it becomes the current one.
    """
    current = current_answer(connection, SYSTEM, asked.order_id, asked.contact_id) if added_comment else None
    if current is None or current.statement.comment is None or current.answered_at is None:
        return text.received_at
    return max(text.received_at, current.answered_at + timedelta(microseconds=1))


def event_of(
    text: Inbound,
    asked: AskedQuestion,
    statement: Statement,
    answered_at: datetime,
    now: datetime,
    request: Request | None = None,
) -> Incoming:
    """The whole answer as of this text. Each event replaces the answer before it; the journal keeps both."""
    event_id = event_id_of(text)
    data = {
        "order_id": asked.order_id,
        "contact_id": asked.contact_id,
        "channel": text.channel,
        "answered_at": answered_at,
        "arrived_at": statement.arrived_at,
        "arrival": statement.arrival,
        "complete": statement.complete,
        "condition": statement.conditions,
        "score": statement.score,
        "comment": statement.comment,
        "request": request,
    }
    raw = envelope(TEXT_SOURCE, event_id, "feedback.received", text.received_at, data)
    return Incoming(raw, "feedback", event_id, None, now)
