"""Inbound texts: each is stored once, unchanged and sealed, and then gets its outcome."""

from datetime import datetime
from typing import NamedTuple

from sqlalchemy import ColumnElement, Connection, and_, select

from pipeline.store.db.bulk import Row, insert_once
from pipeline.store.schema.conversations import inbound_messages


class StoredText(NamedTuple):
    """One inbound text and our reply to it."""

    message_id: str
    received_at: datetime
    sender: str  # digest of the phone number
    text: bytes  # sealed words, as text in UTF-8
    reply: str | None


def store_text(connection: Connection, row: Row) -> bool:
    """Store an inbound text. False: it is stored already, so there is nothing to do about it."""
    return insert_once(connection, inbound_messages, row)


def is_stored(connection: Connection, source: str, message_id: str) -> bool:
    """Whether an inbound text is stored."""
    query = select(inbound_messages.c.message_id).where(_is(source, message_id))
    return connection.execute(query).first() is not None


def set_outcome(connection: Connection, source: str, message_id: str, **values: str | None) -> None:
    """Add the outcome of an inbound text: `outcome`, `order_id`, `contact_id`, `reply`, `next_question`."""
    connection.execute(inbound_messages.update().where(_is(source, message_id)).values(**values))


def newest_texts(connection: Connection, source: str, limit: int) -> list[StoredText]:
    """The newest texts of a source whose sender is a phone number, newest first."""
    columns = [inbound_messages.c[name] for name in StoredText._fields]
    query = select(*columns).where(inbound_messages.c.source == source, inbound_messages.c.sender.is_not(None))
    newest_first = inbound_messages.c.received_at.desc(), inbound_messages.c.message_id
    return [StoredText(*row) for row in connection.execute(query.order_by(*newest_first).limit(limit))]


def _is(source: str, message_id: str) -> ColumnElement[bool]:
    return and_(inbound_messages.c.source == source, inbound_messages.c.message_id == message_id)
