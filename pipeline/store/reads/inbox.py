"""The inbox read back: what waits for a person, and the conversation that each reply belongs to.

A reply to an order is there for whoever sees the order, a reply without one for those whose scope is everything; both
only for those who may read words. Who was erased has no words.
"""

from collections.abc import Mapping, Sequence
from datetime import datetime
from typing import Any, Literal, NamedTuple

import msgspec
from sqlalchemy import ColumnElement, Connection, Row, Select, and_, false, func, or_, select

from pipeline.domain.access.permissions import Permission
from pipeline.domain.access.principal import Principal
from pipeline.domain.answers.review import InboxReason
from pipeline.domain.answers.statement import Statement
from pipeline.domain.events.contract import AnswerRef, FixedResponse, Reading
from pipeline.store.asks.conversations import TEXT_SOURCE
from pipeline.store.db.bulk import among_rows
from pipeline.store.orders.memberships import visible
from pipeline.store.people.keys import open_words
from pipeline.store.people.vault import Vault
from pipeline.store.reads.answers import StoredAnswer, answers_to, opened
from pipeline.store.schema.answers import answers
from pipeline.store.schema.asks import ASKED_AT, asks
from pipeline.store.schema.conversations import inbound_messages
from pipeline.store.schema.inbox import WAITING, inbox
from pipeline.store.schema.orders import orders

_MOST_TEXTS = 50  # of one conversation, the newest
_reading = msgspec.json.Decoder(Reading)
_media = msgspec.json.Decoder(tuple[str, ...])


class InboxItem(NamedTuple):
    """One reply that waits, or waited, for a person. `reading`: what a person read in it."""

    item_id: str
    reason: InboxReason
    source: str
    event_id: str
    channel: str
    received_at: datetime
    order_id: str | None
    contact_id: str | None
    sender: str | None
    language: str | None
    reading: Reading | None
    proposed_at: datetime | None
    proposed_by: str | None
    closed_at: datetime | None
    closed_as: str | None
    closed_by: str | None


class Position(NamedTuple):
    """Where a page of the list ended."""

    received_at: datetime
    item_id: str


class Utterance(NamedTuple):
    """One step of a conversation. `purpose`: of our question; `stated`: what an answer was understood as.

    `response`: our fixed text, with the `state` of its message, which may have been sent or not.
    `pictures`: where the pictures that came are at the provider, empty where that is not known.
    """

    at: datetime
    voice: Literal["customer", "us"]
    words: str | None = None
    channel: str | None = None
    purpose: str | None = None
    stated: Statement | None = None
    pictures: tuple[str, ...] = ()
    item_id: str | None = None
    response: FixedResponse | None = None
    state: str | None = None


class Concerned(NamedTuple):
    """Whose conversation to read: that of a contact about an order, or else of a sender. The rest: its marked item."""

    order_id: str | None
    contact_id: str | None
    sender: str | None = None
    source: str = ""
    event_id: str = ""
    item_id: str = ""


class Reviewed(NamedTuple):
    """How many readings of one language people have confirmed and corrected."""

    language: str | None
    confirmed: int
    corrected: int


_COLUMNS = [inbox.c[name] for name in InboxItem._fields]


def waiting(connection: Connection, principal: Principal, limit: int, after: Position | None = None) -> list[InboxItem]:
    """The replies that wait, the oldest first; those after a position."""
    query = _seen(select(*_COLUMNS).where(WAITING), connection, principal)
    if after is not None:
        same_time = and_(inbox.c.received_at == after.received_at, inbox.c.item_id > after.item_id)
        query = query.where(or_(inbox.c.received_at > after.received_at, same_time))
    return [_item(row) for row in connection.execute(query.order_by(inbox.c.received_at, inbox.c.item_id).limit(limit))]


def number_waiting(connection: Connection, principal: Principal) -> int:
    """How many replies wait."""
    query = select(func.count()).select_from(inbox).where(WAITING)
    found: int = connection.execute(_seen(query, connection, principal)).scalar_one()
    return found


def read_item(connection: Connection, principal: Principal, item_id: str, lock: bool = False) -> InboxItem | None:
    """One reply, locked until commit if wanted; None: there is no such item."""
    query = _seen(select(*_COLUMNS).where(inbox.c.item_id == item_id), connection, principal)
    row = connection.execute(query.with_for_update(of=inbox) if lock else query).first()
    return None if row is None else _item(row)


def reviewed(connection: Connection, principal: Principal) -> list[Reviewed]:
    """The readings that people have confirmed and corrected, by language."""
    query = select(inbox.c.language, inbox.c.closed_as, func.count()).where(
        inbox.c.closed_as.in_(("confirmed", "corrected"))
    )
    found: dict[str | None, dict[str, int]] = {}
    by_language = _seen(query, connection, principal).group_by(inbox.c.language, inbox.c.closed_as)
    for language, how, n in connection.execute(by_language):
        found.setdefault(language, {})[how] = n
    return [
        Reviewed(language, counts.get("confirmed", 0), counts.get("corrected", 0))
        for language, counts in sorted(found.items(), key=lambda entry: entry[0] or "")
    ]


def words_of(
    connection: Connection, principal: Principal, vault: Vault, items: Sequence[InboxItem]
) -> Mapping[str, str]:
    """The words of some replies, by the id of the item; those without words are missing."""
    ids = {AnswerRef(item.source, item.event_id): item.item_id for item in items}
    return {ids[answer]: words for answer, words in words_of_answers(connection, principal, vault, list(ids)).items()}


def words_of_answers(
    connection: Connection, principal: Principal, vault: Vault, named: Sequence[AnswerRef]
) -> Mapping[AnswerRef, str]:
    """The words of some answers, which the principal is known to see; those without words are missing."""
    if not principal.may(Permission.WORDS):
        return {}
    sealed = _sealed_texts(connection, named) | _sealed_comments(connection, named)
    texts = open_words(connection, vault, sealed.values())
    return {answer: texts[token] for answer, token in sealed.items() if token in texts}


def _sealed_texts(connection: Connection, named: Sequence[AnswerRef]) -> dict[AnswerRef, str]:
    ids = {_message_of(answer.id): answer for answer in named if answer.source == TEXT_SOURCE}
    key = inbound_messages.c.source, inbound_messages.c.message_id
    query = select(*key, inbound_messages.c.text).where(among_rows(connection, key, sorted(ids)))
    return {ids[source, message_id]: text.decode() for source, message_id, text in connection.execute(query)}


def _sealed_comments(connection: Connection, named: Sequence[AnswerRef]) -> dict[AnswerRef, str]:
    ids = {(answer.source, answer.id): answer for answer in named if answer.source != TEXT_SOURCE}
    key = answers.c.source, answers.c.event_id
    query = select(*key, answers.c.comment).where(among_rows(connection, key, sorted(ids)))
    found = connection.execute(query.where(answers.c.comment.is_not(None)))
    return {ids[source, event_id]: comment for source, event_id, comment in found}


def _message_of(event_id: str) -> tuple[str, str]:
    """The source and id of the text that an answer by text is about."""
    source, _, message_id = event_id.partition(":")
    return source, message_id


def conversation_of(connection: Connection, principal: Principal, vault: Vault, item: InboxItem) -> list[Utterance]:
    """The conversation that a reply belongs to, in order of time: questions, texts with our replies, and answers."""
    if read_item(connection, principal, item.item_id) is None:
        return []
    whose = Concerned(item.order_id, item.contact_id, item.sender, item.source, item.event_id, item.item_id)
    return utterances(connection, principal, vault, whose)


def utterances(connection: Connection, principal: Principal, vault: Vault, item: Concerned) -> list[Utterance]:
    """The steps of a conversation, in order of time, for a principal who may read its words: the caller checks that."""
    found = _texts(connection, vault, item)
    if item.order_id is not None:
        found += _questions(connection, item)
        given = [
            one
            for one in answers_to(connection, principal, item.order_id)
            if one.contact_id == item.contact_id and one.source != TEXT_SOURCE
        ]
        found += [_answer(one, item) for one in opened(connection, vault, given)]
    return sorted(found, key=lambda one: one.at)  # stable: a reply stays after the text that it answers


def _item(row: Sequence[object]) -> InboxItem:
    item = InboxItem(*row)  # type: ignore[arg-type]
    read = None if item.reading is None else _reading.decode(str(item.reading))
    return item._replace(reason=InboxReason(item.reason), reading=read)


def _seen(query: Select[Any], connection: Connection, principal: Principal) -> Select[Any]:
    """The query of items, for what the principal may read."""
    if not principal.may(Permission.WORDS):
        return query.where(false())
    if principal.scope.is_everything:
        return query
    return query.join(orders, orders.c.order_id == inbox.c.order_id).where(visible(connection, principal))


def _texts(connection: Connection, vault: Vault, item: Concerned) -> list[Utterance]:
    query = select(inbound_messages).where(_same_conversation(item))
    newest_first = inbound_messages.c.received_at.desc(), inbound_messages.c.message_id.desc()
    rows = connection.execute(query.order_by(*newest_first).limit(_MOST_TEXTS)).all()
    texts = open_words(connection, vault, [column.decode() for row in rows for column in (row.text, row.media or b"")])
    found = list[Utterance]()
    for row in reversed(rows):
        media = None if row.media is None else texts.get(row.media.decode())
        pictures = () if media is None else _media.decode(media)
        is_item = item.source == TEXT_SOURCE and _message_of(item.event_id) == (row.source, row.message_id)
        mark = item.item_id if is_item else None
        words = texts.get(row.text.decode())
        found.append(Utterance(row.received_at, "customer", words, pictures=pictures, item_id=mark))
        if row.reply is not None:
            found.append(Utterance(row.received_at, "us", row.reply))
    return found


def _same_conversation(item: Concerned) -> ColumnElement[bool]:
    """Of the order and contact; of a sender to whom no question of ours went, the sender's."""
    text = inbound_messages.c
    if item.order_id is not None:
        return and_(text.order_id == item.order_id, text.contact_id == item.contact_id)
    if item.sender is not None:
        return and_(text.sender == item.sender, text.order_id.is_(None))
    source, message_id = _message_of(item.event_id)
    return and_(text.source == source, text.message_id == message_id)


def _questions(connection: Connection, item: Concerned) -> list[Utterance]:
    columns = ASKED_AT.label("at"), asks.c.channel, asks.c.purpose, asks.c.response, asks.c.state
    of_contact = asks.c.order_id == item.order_id, asks.c.contact_id == item.contact_id
    sent_or_response = or_(asks.c.state.not_in(["due", "not_asked"]), asks.c.response.is_not(None))
    found = connection.execute(select(*columns).where(*of_contact, asks.c.reason.is_(None), sent_or_response))
    return [_said(row) for row in found if row.at is not None]


def _said(row: Row[*tuple[Any, ...]]) -> Utterance:
    if row.response is None:
        return Utterance(row.at, "us", channel=row.channel, purpose=row.purpose)
    return Utterance(row.at, "us", channel=row.channel, response=row.response, state=row.state)


def _answer(answer: StoredAnswer, item: Concerned) -> Utterance:
    mark = item.item_id if (answer.source, answer.id) == (item.source, item.event_id) else None
    stated = answer.statement
    return Utterance(
        answer.received_at, "customer", answer.comment, channel=answer.channel, stated=stated, item_id=mark
    )
