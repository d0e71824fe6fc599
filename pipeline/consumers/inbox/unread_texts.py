"""Which texts of customers a person has to read, and which of them are clear by now."""

from datetime import datetime
from typing import Protocol

from sqlalchemy import Connection

from pipeline import metrics
from pipeline.domain.answers.parsed_reply import Control, ParsedReply
from pipeline.domain.answers.reading.lexicon import LANGUAGES
from pipeline.domain.answers.review import InboxReason, states_something
from pipeline.domain.answers.statement import Statement
from pipeline.store.asks import inbox
from pipeline.store.asks.conversations import DONE, AskedQuestion, Conversation
from pipeline.store.asks.inbox import Clarified, item_row


class Text(Protocol):
    """What is needed of an inbound text."""

    @property
    def sender(self) -> str | None:
        """The digest of the address it came from."""

    @property
    def channel(self) -> str:
        """The channel it came by."""

    @property
    def received_at(self) -> datetime:
        """When it was received."""

    @property
    def media(self) -> tuple[str, ...]:
        """Where the pictures that came with it are."""


def leave_to_person(
    connection: Connection,
    source: str,
    event_id: str,
    text: Text,
    asked: AskedQuestion,
    before: Conversation,
    statement: Statement,
    parsed: ParsedReply,
    control: Control | None,
) -> None:
    """Put a text of a conversation into the inbox, if a person has to read it; `statement`: all that was stated so far.

    A text that states something codable makes clear what its author wrote before.
    """
    reason = None if control is not None else reason_to_read(before, statement, parsed, bool(text.media))
    _count(parsed, control)
    if states_something(parsed):
        inbox.clarify(connection, [Clarified(asked.order_id, asked.contact_id, text.received_at)])
    if reason is not None:
        whose = {"order_id": asked.order_id, "contact_id": asked.contact_id}
        _add(connection, reason, source, event_id, text, parsed, **whose)


def leave_written_back_to_person(
    connection: Connection, source: str, event_id: str, text: Text, asked: AskedQuestion, parsed: ParsedReply
) -> None:
    """Put the words that answer a fixed response into the inbox."""
    _count(parsed, None)
    reason = InboxReason.PICTURE if text.media else InboxReason.UNASKED
    _add(connection, reason, source, event_id, text, parsed, asked.order_id, asked.contact_id)


def leave_stranger_to_person(
    connection: Connection, source: str, event_id: str, text: Text, parsed: ParsedReply
) -> None:
    """Put a text that answers no question of ours into the inbox, unless a device wrote it."""
    _count(parsed, None)
    if text.media:
        _add(connection, InboxReason.PICTURE, source, event_id, text, parsed)
    elif not parsed.automatic:
        _add(connection, InboxReason.UNASKED, source, event_id, text, parsed)


def reason_to_read(
    before: Conversation, statement: Statement, parsed: ParsedReply, has_pictures: bool
) -> InboxReason | None:
    """Why a person has to read a text; None: there is no need to."""
    if has_pictures:
        return InboxReason.PICTURE
    if parsed.unclear:
        return InboxReason.UNCLEAR
    if parsed.comment is None or states_something(parsed):
        return None
    if before.question == DONE:
        return InboxReason.UNASKED
    return None if statement.is_codable else InboxReason.UNCODED


def _add(
    connection: Connection,
    reason: InboxReason,
    source: str,
    event_id: str,
    text: Text,
    parsed: ParsedReply,
    order_id: str | None = None,
    contact_id: str | None = None,
) -> None:
    row = item_row(
        reason,
        source,
        event_id,
        text.channel,
        text.received_at,
        order_id=order_id,
        contact_id=contact_id,
        sender=text.sender,
        language=parsed.language,
    )
    inbox.add(connection, [row])


def _count(parsed: ParsedReply, control: Control | None) -> None:
    """Count a text by its language and by what the reader made of it."""
    language = parsed.language if parsed.language in LANGUAGES else "other"
    if control is not None:
        result = "control"
    elif parsed.automatic:
        result = "automatic"
    elif states_something(parsed):
        result = "coded"
    else:
        result = "unclear" if parsed.unclear else "words"
    metrics.TEXTS_READ.labels(language, result).inc()
