"""The inbox read back: what waits for a person, and the conversation that each reply belongs to."""

from collections.abc import Sequence
from datetime import datetime
from typing import Literal, NamedTuple

import msgspec
from sqlalchemy import ColumnElement, Connection, and_, func, or_, select

from pipeline.domain.answers.review import InboxReason, Reading
from pipeline.domain.answers.statement import Statement
from pipeline.store.asks.conversations import TEXT_SOURCE
from pipeline.store.people.vault import Vault
from pipeline.store.reads.answers import StoredAnswer, answers_to
from pipeline.store.schema.answers import answers
from pipeline.store.schema.asks import ASKED_AT, asks
from pipeline.store.schema.conversations import inbound_messages
from pipeline.store.schema.inbox import WAITING, inbox

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


class Reviewed(NamedTuple):
    """How many readings of one language people have confirmed and corrected."""

    language: str | None
    confirmed: int
    corrected: int


_COLUMNS = [inbox.c[name] for name in InboxItem._fields]


def waiting(connection: Connection, limit: int, after: Position | None = None) -> list[InboxItem]:
    """The replies that wait, the oldest first; those after a position."""
    query = select(*_COLUMNS).where(WAITING)
    if after is not None:
        same_time = and_(inbox.c.received_at == after.received_at, inbox.c.item_id > after.item_id)
        query = query.where(or_(inbox.c.received_at > after.received_at, same_time))
    return [_item(row) for row in connection.execute(query.order_by(inbox.c.received_at, inbox.c.item_id).limit(limit))]


def number_waiting(connection: Connection) -> int:
    """How many replies wait."""
    return connection.execute(select(func.count()).select_from(inbox).where(WAITING)).scalar_one()


def read_item(connection: Connection, item_id: str) -> InboxItem | None:
    """One reply; None: there is no such item."""
    row = connection.execute(select(*_COLUMNS).where(inbox.c.item_id == item_id)).first()
    return None if row is None else _item(row)


def reviewed(connection: Connection) -> list[Reviewed]:
    """The readings that people have confirmed and corrected, by language."""
    query = select(inbox.c.language, inbox.c.closed_as, func.count()).where(
        inbox.c.closed_as.in_(("confirmed", "corrected"))
    )
    found: dict[str | None, dict[str, int]] = {}
    for language, how, n in connection.execute(query.group_by(inbox.c.language, inbox.c.closed_as)):
        found.setdefault(language, {})[how] = n
    return [
        Reviewed(language, counts.get("confirmed", 0), counts.get("corrected", 0))
        for language, counts in sorted(found.items(), key=lambda entry: entry[0] or "")
    ]


def words_of(connection: Connection, vault: Vault, item: InboxItem) -> str:
    """The words of a reply; empty if it has none."""
    if item.source == TEXT_SOURCE:
        source, _, message_id = item.event_id.partition(":")
        text = inbound_messages.c.source == source, inbound_messages.c.message_id == message_id
        sealed = connection.execute(select(inbound_messages.c.text).where(*text)).scalar()
        return "" if sealed is None else vault.open_bytes(sealed).decode("utf-8", "replace")
    answer = answers.c.source == item.source, answers.c.event_id == item.event_id
    return connection.execute(select(answers.c.comment).where(*answer)).scalar() or ""


def conversation_of(connection: Connection, vault: Vault, item: InboxItem) -> list[Utterance]:
    """The conversation that a reply belongs to, in order of time: questions, texts with our replies, and answers."""
    found = _texts(connection, vault, item)
    if item.order_id is not None:
        found += _questions(connection, item)
        found += [
            _answer(one, item)
            for one in answers_to(connection, item.order_id)
            if one.contact_id == item.contact_id and one.source != TEXT_SOURCE
        ]
    return sorted(found, key=lambda one: one.at)  # stable: a reply stays after the text that it answers


def _item(row: Sequence[object]) -> InboxItem:
    item = InboxItem(*row)  # type: ignore[arg-type]
    read = None if item.reading is None else _reading.decode(str(item.reading))
    return item._replace(reason=InboxReason(item.reason), reading=read)


def _texts(connection: Connection, vault: Vault, item: InboxItem) -> list[Utterance]:
    query = select(inbound_messages).where(_same_conversation(item))
    newest_first = inbound_messages.c.received_at.desc(), inbound_messages.c.message_id.desc()
    found = list[Utterance]()
    for row in reversed(connection.execute(query.order_by(*newest_first).limit(_MOST_TEXTS)).all()):
        words = vault.open_bytes(row.text).decode("utf-8", "replace")
        pictures = () if row.media is None else _media.decode(vault.open_bytes(row.media))
        is_item = item.source == TEXT_SOURCE and item.event_id == f"{row.source}:{row.message_id}"
        mark = item.item_id if is_item else None
        found.append(Utterance(row.received_at, "customer", words, pictures=pictures, item_id=mark))
        if row.reply is not None:
            found.append(Utterance(row.received_at, "us", row.reply))
    return found


def _same_conversation(item: InboxItem) -> ColumnElement[bool]:
    """Of the order and contact; of a sender to whom no question of ours went, the sender's."""
    text = inbound_messages.c
    if item.order_id is not None:
        return and_(text.order_id == item.order_id, text.contact_id == item.contact_id)
    if item.sender is not None:
        return and_(text.sender == item.sender, text.order_id.is_(None))
    source, _, message_id = item.event_id.partition(":")
    return and_(text.source == source, text.message_id == message_id)


def _questions(connection: Connection, item: InboxItem) -> list[Utterance]:
    columns = ASKED_AT.label("at"), asks.c.channel, asks.c.purpose
    of_contact = asks.c.order_id == item.order_id, asks.c.contact_id == item.contact_id
    sent = asks.c.reason.is_(None), asks.c.state.not_in(["due", "not_asked"])
    return [
        Utterance(row.at, "us", channel=row.channel, purpose=row.purpose)
        for row in connection.execute(select(*columns).where(*of_contact, *sent))
        if row.at is not None
    ]


def _answer(answer: StoredAnswer, item: InboxItem) -> Utterance:
    mark = item.item_id if (answer.source, answer.id) == (item.source, item.event_id) else None
    stated = answer.statement
    return Utterance(
        answer.received_at, "customer", answer.comment, channel=answer.channel, stated=stated, item_id=mark
    )
