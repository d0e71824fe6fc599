"""Conversations by text message: the questions that went to a phone, and the state of each conversation."""

from collections import defaultdict
from collections.abc import Collection, Sequence
from datetime import datetime
from typing import NamedTuple

import msgspec
from msgspec import structs
from sqlalchemy import Connection, and_, or_, select

from pipeline.domain.answers.statement import Statement
from pipeline.domain.events.contract import RESPONSE
from pipeline.store.db.bulk import insert_new, upsert
from pipeline.store.people.keys import open_words
from pipeline.store.people.vault import SealingKey, Vault
from pipeline.store.schema.answers import answers
from pipeline.store.schema.asks import ASKED_AT, asks
from pipeline.store.schema.conversations import conversations, inbound_messages
from pipeline.store.schema.people import people

ARRIVAL, DONE = "arrival", "done"  # the question that a conversation begins with, and the state without an open one
TEXT_SOURCE = "unvarnished/text"  # source of the answers by text
_MOST_ASKS = 50  # of one phone: with more, a text answers one of the newest
_Key = tuple[str, str]  # order, contact


class AskedQuestion(NamedTuple):
    """A question that went to a phone."""

    order_id: str
    contact_id: str
    purpose: str
    asked_at: datetime
    state: str
    account_id: str  # "": not known


class Conversation(NamedTuple):
    """The open question of a conversation, how often it was repeated, and what the contact has stated so far."""

    question: str
    tries: int
    changed_at: datetime
    statement: Statement


def asked_questions(connection: Connection, sender: str) -> list[AskedQuestion]:
    """The questions that went, or may have gone, to the address with this digest, newest first."""
    columns = (
        asks.c.order_id,
        asks.c.contact_id,
        asks.c.purpose,
        ASKED_AT.label("asked_at"),
        asks.c.state,
        asks.c.account_id,
    )
    sent = asks.c.reason.is_(None), asks.c.state.not_in(["due", "not_asked"])
    ours = select(*columns).where(asks.c.recipient == sender, *sent)
    # Questions that another system sent: to whatever address the contact has now.
    same_contact = and_(people.c.account_id == asks.c.account_id, people.c.contact_id == asks.c.contact_id)
    theirs = or_(people.c.phone_digest == sender, people.c.email_digest == sender), asks.c.recipient.is_(None)
    others = select(*columns).join(people, same_contact).where(*theirs, *sent)
    both = ours.union_all(others).subquery()
    newest_first = both.c.asked_at.desc(), both.c.order_id, both.c.contact_id, both.c.purpose
    return [AskedQuestion(*row) for row in connection.execute(select(both).order_by(*newest_first).limit(_MOST_ASKS))]


def was_responded_to(connection: Connection, asked: AskedQuestion, at: datetime) -> bool:
    """Whether a fixed response went, or may have gone, to the contact after that question and up to that time."""
    order, contact = asks.c.order_id == asked.order_id, asks.c.contact_id == asked.contact_id
    this = order, contact, asks.c.purpose == RESPONSE
    sent = asks.c.state.not_in(["due", "not_asked"]), asked.asked_at <= ASKED_AT, at >= ASKED_AT
    return connection.execute(select(asks.c.purpose).where(*this, *sent)).first() is not None


def addresses_of(connection: Connection, asked: AskedQuestion) -> set[str]:
    """The digests of the addresses that the contact of a question has now, and of the one it was sent to."""
    contact = asks.c.order_id == asked.order_id, asks.c.contact_id == asked.contact_id
    same_contact = and_(people.c.account_id == asks.c.account_id, people.c.contact_id == asks.c.contact_id)
    columns = asks.c.recipient, people.c.phone_digest, people.c.email_digest
    rows = connection.execute(select(*columns).outerjoin_from(asks, people, same_contact).where(*contact))
    return {digest for row in rows for digest in row if digest is not None}


class Course:
    """The course of some conversations: which question was open when, and which still is."""

    def __init__(self, connection: Connection, found: Sequence[AskedQuestion]) -> None:
        orders = {asked.order_id for asked in found}
        self._now = _open_now(connection, orders)
        self._texts = _texts(connection, orders)
        self._elsewhere = _answers_elsewhere(connection, orders)

    def open_now(self, asked: AskedQuestion) -> str:
        """The open question of a conversation, or DONE."""
        begun = DONE if asked.state == "answered" or asked.purpose == RESPONSE else ARRIVAL
        return self._now.get((asked.order_id, asked.contact_id), begun)

    def spoke_last_at(self, asked: AskedQuestion, at: datetime) -> datetime:
        """When we last said something in a conversation up to that time: each of its texts got a reply."""
        texts = self._texts[asked.order_id, asked.contact_id]
        return max([asked.asked_at, *(text.at for text in texts if text.at <= at)])

    def went_on_after(self, asked: AskedQuestion, at: datetime) -> bool:
        """Whether the contact wrote or answered after that time."""
        key = asked.order_id, asked.contact_id
        return any(text.at > at for text in self._texts[key]) or any(given > at for given in self._elsewhere[key])

    def open_at(self, asked: AskedQuestion, at: datetime) -> str:
        """The question that was open at that time, or DONE."""
        if not self.went_on_after(asked, at):
            return self.open_now(asked)
        key = asked.order_id, asked.contact_id
        earlier = [text for text in self._texts[key] if text.at <= at]
        if earlier:
            return earlier[-1].next_question or self.open_now(asked)
        return DONE if any(given <= at for given in self._elsewhere[key]) else ARRIVAL


class _Text(NamedTuple):
    at: datetime
    next_question: str | None


def _open_now(connection: Connection, orders: Collection[str]) -> dict[_Key, str]:
    query = select(conversations.c.order_id, conversations.c.contact_id, conversations.c.question)
    rows = connection.execute(query.where(conversations.c.order_id.in_(orders)))
    return {(order_id, contact_id): question for order_id, contact_id, question in rows}


def _texts(connection: Connection, orders: Collection[str]) -> dict[_Key, list[_Text]]:
    """The texts of each conversation, by the time at which they were written."""
    text = inbound_messages.c
    query = select(text.order_id, text.contact_id, text.received_at, text.next_question)
    found = defaultdict[_Key, list[_Text]](list)
    for order_id, contact_id, *rest in connection.execute(
        query.where(text.order_id.in_(orders)).order_by(text.received_at, text.message_id)
    ):
        found[order_id, contact_id].append(_Text(*rest))
    return found


def _answers_elsewhere(connection: Connection, orders: Collection[str]) -> dict[_Key, list[datetime]]:
    """When each contact answered by the form, or in another system: not after we received it, whatever that says."""
    query = select(answers.c.order_id, answers.c.contact_id, answers.c.received_at, answers.c.answered_at)
    found = defaultdict[_Key, list[datetime]](list)
    for order_id, contact_id, received_at, answered_at in connection.execute(
        query.where(answers.c.order_id.in_(orders), answers.c.source != TEXT_SOURCE)
    ):
        found[order_id, contact_id].append(min(received_at, answered_at or received_at))
    return found


def load(connection: Connection, vault: Vault, order_id: str, contact_id: str, now: datetime) -> Conversation:
    """The conversation with a contact about an order, begun now if it is new; locked until the transaction ends."""
    key = {"order_id": order_id, "contact_id": contact_id}
    fresh = {"question": ARRIVAL, "tries": 0, "changed_at": now, "said": "{}"}
    insert_new(connection, conversations, [key | fresh])
    columns = [conversations.c[name] for name in fresh]
    query = select(*columns).where(conversations.c.order_id == order_id, conversations.c.contact_id == contact_id)
    question, tries, changed_at, said = connection.execute(query.with_for_update()).one()
    statement = msgspec.json.decode(said, type=Statement)
    texts = open_words(connection, vault, [statement.comment])
    return Conversation(
        question, tries, changed_at, structs.replace(statement, comment=texts.get(statement.comment or ""))
    )


def open_question(connection: Connection, order_id: str, contact_id: str) -> str | None:
    """The open question of a conversation, or DONE; None: it has not begun."""
    one = conversations.c.order_id == order_id, conversations.c.contact_id == contact_id
    return connection.execute(select(conversations.c.question).where(*one)).scalar()


def save(connection: Connection, key: SealingKey, order_id: str, contact_id: str, conversation: Conversation) -> None:
    """Store the state of a conversation, its comment sealed with the contact's key."""
    question, tries, changed_at, statement = conversation
    if statement.comment is not None:
        statement = structs.replace(statement, comment=key.seal(statement.comment))
    row = {
        "order_id": order_id,
        "contact_id": contact_id,
        "question": question,
        "tries": tries,
        "changed_at": changed_at,
        "said": msgspec.json.encode(statement).decode(),
    }
    upsert(connection, conversations, [row])
