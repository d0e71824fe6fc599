"""Conversations by text message: the questions that went to a phone, and the state of each conversation."""

from collections.abc import Sequence
from datetime import datetime
from typing import NamedTuple

import msgspec
from sqlalchemy import Connection, and_, or_, select

from pipeline.domain.answers.statement import Statement
from pipeline.store.db.bulk import insert_new, upsert
from pipeline.store.schema.asks import ASKED_AT, asks
from pipeline.store.schema.conversations import conversations
from pipeline.store.schema.people import people

_MOST_ASKS = 50  # of one phone: with more, a text answers one of the newest


class AskedQuestion(NamedTuple):
    """A question that went to a phone."""

    order_id: str
    contact_id: str
    purpose: str
    asked_at: datetime
    state: str


class Conversation(NamedTuple):
    """The open question of a conversation, how often it was repeated, and what the contact has stated so far."""

    question: str
    tries: int
    changed_at: datetime
    statement: Statement


def asked_questions(connection: Connection, sender: str) -> list[AskedQuestion]:
    """The questions that went, or may have gone, to the address with this digest, newest first."""
    columns = asks.c.order_id, asks.c.contact_id, asks.c.purpose, ASKED_AT.label("asked_at"), asks.c.state
    sent = asks.c.reason.is_(None), asks.c.state.not_in(["due", "not_asked"])
    ours = select(*columns).where(asks.c.recipient == sender, *sent)
    # Questions that another system sent: to whatever address the contact has now.
    same_contact = and_(people.c.account_id == asks.c.account_id, people.c.contact_id == asks.c.contact_id)
    theirs = or_(people.c.phone_digest == sender, people.c.email_digest == sender), asks.c.recipient.is_(None)
    others = select(*columns).join(people, same_contact).where(*theirs, *sent)
    both = ours.union_all(others).subquery()
    newest_first = both.c.asked_at.desc(), both.c.order_id, both.c.contact_id, both.c.purpose
    return [AskedQuestion(*row) for row in connection.execute(select(both).order_by(*newest_first).limit(_MOST_ASKS))]


def open_questions(connection: Connection, found: Sequence[AskedQuestion]) -> dict[tuple[str, str], str]:
    """The open question of each of these conversations that has begun, by order and contact."""
    if not found:
        return {}
    query = select(conversations.c.order_id, conversations.c.contact_id, conversations.c.question)
    rows = connection.execute(query.where(conversations.c.order_id.in_({asked.order_id for asked in found})))
    return {(order_id, contact_id): question for order_id, contact_id, question in rows}


def load(connection: Connection, order_id: str, contact_id: str, now: datetime) -> Conversation:
    """The conversation with a contact about an order, begun now if it is new; locked until the transaction ends."""
    key = {"order_id": order_id, "contact_id": contact_id}
    fresh = {"question": "arrival", "tries": 0, "changed_at": now, "said": "{}"}
    insert_new(connection, conversations, [key | fresh])
    columns = [conversations.c[name] for name in fresh]
    query = select(*columns).where(conversations.c.order_id == order_id, conversations.c.contact_id == contact_id)
    question, tries, changed_at, said = connection.execute(query.with_for_update()).one()
    return Conversation(question, tries, changed_at, msgspec.json.decode(said, type=Statement))


def save(connection: Connection, order_id: str, contact_id: str, conversation: Conversation) -> None:
    """Store the state of a conversation."""
    question, tries, changed_at, statement = conversation
    row = {
        "order_id": order_id,
        "contact_id": contact_id,
        "question": question,
        "tries": tries,
        "changed_at": changed_at,
        "said": msgspec.json.encode(statement).decode(),
    }
    upsert(connection, conversations, [row])
