"""Texts to what we send after the answer about a delivery: they state nothing about it."""

from datetime import datetime

from sqlalchemy import Connection

from pipeline.consumers import intake
from pipeline.consumers.cases import following_up
from pipeline.consumers.conversation.matching import MatchingQuestion, key_of
from pipeline.consumers.conversation.texts import Inbound, ReplyResult, event_id_of
from pipeline.consumers.intake import Incoming
from pipeline.domain.answers.replies import ParsedReply
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
