"""The conversation by text: first the arrival, then a score, then a comment. A text results in events and a reply.

Every effect of a text is written in one transaction with it: the opt-out, the answer in the journal, the next question.
So a text that is stored has had its effect, and a text that comes twice has it once.
"""

from collections.abc import Sequence
from datetime import datetime, timedelta
from typing import Literal, NamedTuple

from sqlalchemy import Connection

from pipeline.consumers import intake
from pipeline.consumers.intake import Incoming
from pipeline.domain.answers.replies import NOTHING, Control, ParsedReply, Question, Reader
from pipeline.domain.answers.statement import Statement
from pipeline.domain.asking.channels import Channel
from pipeline.domain.events.cloudevents import envelope
from pipeline.domain.events.contract import Score
from pipeline.notifiers.port import InboundText
from pipeline.notifiers.wording import reply_texts
from pipeline.notifiers.wording.languages import SOURCE_LANGUAGE, translate
from pipeline.store.asks import conversations, inbound_messages
from pipeline.store.asks.conversations import AskedQuestion, Conversation
from pipeline.store.orders.orders import language_and_timezone
from pipeline.store.people import opt_outs
from pipeline.store.people.opt_outs import OptOut
from pipeline.store.reads.answers import current_answer
from pipeline.store.store import Store

EVENT_SOURCE = "unvarnished/text"
DONE = "done"  # the state of a conversation without an open question
MAX_COMMENT = 8_000  # characters of a person's comment on one order in events; every text is also stored as it came
_MAX_REPEATS = 1  # of a question that was not answered
_OPEN_FOR = timedelta(days=14)  # a question younger than this is answered before older ones that are still open

ReplyOutcome = Literal["answered", "unclear", "control", "ignored", "quarantined"]


class Inbound(NamedTuple):
    """An inbound text as a conversation handles it. `sender` is the digest of its address: a hint, not an identity."""

    source: str  # name of the provider, or of the page, that the text came from
    message_id: str
    sender: str | None  # None: not an address that can be written to
    text: str
    received_at: datetime
    provider_action: Control | None = None  # what the provider did about the text itself, its reply included
    answerable: bool = True  # False: the text was acknowledged before it was handled, so no reply can go with it
    channel: str = "sms"


class ReplyResult(NamedTuple):
    """The result of a text. `new` False: the text was handled before, and nothing was done.

    `events` are stored in the journal; the caller passes them to the runner, so that they are processed at once.
    """

    new: bool
    outcome: ReplyOutcome | None = None
    reply: str | None = None
    events: Sequence[Incoming] = ()


ALREADY_HANDLED = ReplyResult(False)


def inbound(store: Store, channel: Channel, text: InboundText, answerable: bool = True) -> Inbound:
    """An inbound text of a channel, its sender replaced by the digest of the address."""
    return Inbound(
        source=text.source,
        message_id=text.message_id,
        sender=store.vault.digest(channel.address_kind, text.sender),
        text=text.text,
        received_at=text.received_at,
        provider_action=text.provider_action,
        answerable=answerable,
        channel=channel.name,
    )


def handle_text(connection: Connection, store: Store, text: Inbound, reader: Reader, now: datetime) -> ReplyResult:
    """Handle one text in the caller's transaction. Its answer counts even if the question has expired."""
    row = {
        "source": text.source,
        "message_id": text.message_id,
        "received_at": text.received_at,
        "sender": text.sender,
        "text": store.vault.seal_bytes(text.text.encode("utf-8", "replace")),
        "outcome": "quarantined",
    }
    if not inbound_messages.store_text(connection, row):
        return ALREADY_HANDLED
    control = text.provider_action or reader.read(text.text, "arrival", None).control
    question = _matching_question(connection, text)
    if question is None:
        result = _handle_stranger(text, control)
    else:
        result = _answer(connection, store, text, question, reader, now)
    if not text.answerable:
        result = result._replace(reply=None)
    # Last: the runner locks the journal's head before it writes opt-outs, and so does this transaction.
    _apply_control(connection, text.sender, control, now)
    ids = {} if question is None else {"order_id": question.order_id, "contact_id": question.contact_id}
    changes = {"outcome": result.outcome, "reply": result.reply, **ids}
    inbound_messages.set_outcome(connection, text.source, text.message_id, **changes)
    return result


def _apply_control(connection: Connection, sender: str | None, control: Control | None, now: datetime) -> None:
    if sender is None:
        return
    if control == "stop":
        opt_outs.record(connection, {sender: OptOut(now, EVENT_SOURCE)})
    elif control == "start":
        opt_outs.remove(connection, sender)


def _matching_question(connection: Connection, text: Inbound) -> AskedQuestion | None:
    """The question that a text answers: the newest to that address that is open, else the newest.

    Questions asked after the text was written come last; but the exact time of a question is not always known.
    """
    if text.sender is None:
        return None
    found = conversations.asked_questions(connection, text.sender)
    states = conversations.open_questions(connection, found)
    for asked in found:
        done = states.get((asked.order_id, asked.contact_id), asked.state == "answered" and DONE) == DONE
        if not done and timedelta() <= text.received_at - asked.asked_at <= _OPEN_FOR:
            return asked
    return next((asked for asked in found if asked.asked_at <= text.received_at), found[0] if found else None)


def _handle_stranger(text: Inbound, control: Control | None) -> ReplyResult:
    """An address that was never written to: the text is quarantined for a person to read. Control words still count."""
    if control is None or text.provider_action is not None:
        return ReplyResult(True, "quarantined")
    return ReplyResult(True, "quarantined", translate(reply_texts.CONTROL_REPLIES[control], SOURCE_LANGUAGE))


def _answer(
    connection: Connection, store: Store, text: Inbound, asked: AskedQuestion, reader: Reader, now: datetime
) -> ReplyResult:
    before = _resume(connection, asked, now)
    language, _ = language_and_timezone(connection, asked.order_id, asked.contact_id)
    parsed = reader.read(text.text, _question_answered(before.question), language)
    control = text.provider_action or parsed.control
    if control is None and parsed == NOTHING and before.question == "arrival":
        return ReplyResult(True, "ignored")  # an automatic reply
    statement = before.statement.amended_by(_statement(before.statement, parsed))
    after, reply = _next(before, statement, parsed, now)
    if control is not None:
        # A person who wants help or silence gets no further question; what else the text states still counts.
        after = before._replace(statement=statement, changed_at=now)
        reply = reply_texts.CONTROL_REPLIES[control]
    conversations.save(connection, asked.order_id, asked.contact_id, after)
    events = [_event(text, asked, statement, now)] if statement != before.statement else []
    intake.ingest(connection, store, events, now)
    outcome: ReplyOutcome = "control" if control else "unclear" if parsed.unclear else "answered"
    if reply is None or text.provider_action is not None:
        return ReplyResult(True, outcome, None, events)
    return ReplyResult(True, outcome, translate(reply, language), events)


def _resume(connection: Connection, asked: AskedQuestion, now: datetime) -> Conversation:
    """The conversation so far. If the person has answered by the form meanwhile, no question is left."""
    conversation = conversations.load(connection, asked.order_id, asked.contact_id, now)
    current = current_answer(connection, asked.order_id, asked.contact_id)
    if current is None:
        return conversation
    if conversation.statement == Statement():
        return conversation._replace(statement=current.statement, question=DONE)
    if current.answered_at is not None and current.answered_at > conversation.changed_at:
        return conversation._replace(statement=current.statement)
    return conversation


def _question_answered(question: str) -> Question:
    """The kind of question that a text answers; after the last one every text is a comment."""
    return "arrival" if question == "arrival" else "score" if question == "score" else "comment"


def _statement(before: Statement, parsed: ParsedReply) -> Statement:
    """What a text states. A new comment is appended to the earlier one."""
    comment = before.comment
    if parsed.comment is not None and parsed.comment not in (comment or "").split("\n\n"):
        comment = "\n\n".join(filter(None, [comment, parsed.comment]))[:MAX_COMMENT]
    score = None if parsed.score is None else Score(parsed.score)
    return Statement(parsed.arrival, parsed.complete, parsed.conditions, score, comment)


def _next(
    before: Conversation, statement: Statement, parsed: ParsedReply, now: datetime
) -> tuple[Conversation, str | None]:
    """The conversation after a text, and the reply to it; None: no reply."""
    missing = _missing(before, statement)
    if before.question == DONE:
        return before._replace(statement=statement, changed_at=now), None
    if missing == before.question:
        if before.tries < _MAX_REPEATS:
            again = before._replace(tries=before.tries + 1, statement=statement, changed_at=now)
            return again, _repeated(missing, parsed)
        return Conversation(DONE, 0, now, statement), reply_texts.READ_BY_PERSON
    after = Conversation(missing, 0, now, statement)
    if missing == "score":
        problem = statement.arrival in ("late", "not_received") or statement.complete is False
        return after, reply_texts.SCORE_AFTER_PROBLEM if problem else reply_texts.SCORE
    replies = {"arrival": reply_texts.ARRIVAL_AGAIN, "comment": reply_texts.COMMENT, DONE: reply_texts.DONE}
    return after, replies[missing]


def _repeated(question: str, parsed: ParsedReply) -> str:
    """The text that repeats a question."""
    if question == "score":
        return reply_texts.SCORE_AGAIN
    return reply_texts.ARRIVAL_AGAIN if parsed.comment is None else reply_texts.ARRIVAL_AFTER_COMMENT


def _missing(before: Conversation, statement: Statement) -> str:
    """The next question: the first of arrival, score and comment that is not stated, or DONE."""
    if statement.arrival is None and statement.complete is None:
        return "arrival"
    if statement.score is None:
        return "score"
    if statement.comment is None and before.question != "comment":
        return "comment"
    return DONE


def _event(text: Inbound, asked: AskedQuestion, statement: Statement, now: datetime) -> Incoming:
    """The whole answer as of this text. Each event replaces the answer before it; the journal keeps both."""
    event_id = f"{text.source}:{text.message_id}"
    data = {
        "order_id": asked.order_id,
        "contact_id": asked.contact_id,
        "channel": text.channel,
        "answered_at": text.received_at,
        "arrived_at": statement.arrived_at,
        "arrival": statement.arrival,
        "complete": statement.complete,
        "condition": statement.conditions,
        "score": statement.score,
        "comment": statement.comment,
    }
    raw = envelope(EVENT_SOURCE, event_id, "feedback.received", text.received_at, data)
    return Incoming(raw, "feedback", event_id, None, now)
