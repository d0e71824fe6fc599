"""What the inbox page, the read API and the command line show of a reply that waits."""

from datetime import datetime
from typing import Literal

from msgspec import Struct
from sqlalchemy import Connection

from pipeline.consumers.inbox.decisions import suggestions_for
from pipeline.domain.access.principal import Principal
from pipeline.domain.answers.parsed_reply import Reader
from pipeline.domain.answers.review import InboxReason, as_statement
from pipeline.domain.events.contract import FixedResponse, Reading
from pipeline.store.reads import inbox
from pipeline.store.reads.inbox import InboxItem, Utterance
from pipeline.store.reads.order_record import read_orders
from pipeline.store.store import Store
from pipeline.web.internal.words import claim_in_words, response_in_words, response_state, statement_in_words

WHY = {
    InboxReason.UNCLEAR: "nothing in it was understood",
    InboxReason.UNCODED: "its words state nothing that could be counted",
    InboxReason.UNASKED: "it answers no question of ours",
    InboxReason.PICTURE: "a picture came with it",
}


class InboxEntry(Struct, frozen=True, kw_only=True):
    """One reply that waits. `order_id` None: it belongs to no question of ours.

    `suggested`: what the reader makes of the words; `claim`: what operations claims about the order, in words.
    `proposed`: a reading by `proposed_by` that a second person has to confirm.
    """

    id: str
    reason: InboxReason
    received_at: datetime
    channel: str
    language: str | None
    order_id: str | None
    contact_id: str | None
    words: str
    claim: str | None
    suggested: Reading
    proposed: Reading | None
    proposed_by: str | None
    closed_as: str | None


class UtteranceView(Struct, frozen=True, kw_only=True):
    """One step of a conversation, by the customer or by us; `waits` marks the reply that the entry is about.

    `response`: the name of our fixed text, which is in `words`, and `state` what became of its message.
    """

    at: datetime
    voice: Literal["customer", "us"]
    words: str | None
    channel: str | None
    question: str | None
    stated: str
    pictures: int
    picture_addresses: tuple[str, ...]
    waits: bool
    response: FixedResponse | None
    state: str | None


class InboxConversation(Struct, frozen=True, kw_only=True):
    """One reply that waits, and the conversation that it belongs to."""

    entry: InboxEntry
    conversation: tuple[UtteranceView, ...]


def entries_of(
    connection: Connection, store: Store, viewer: Principal, reader: Reader, items: list[InboxItem]
) -> list[InboxEntry]:
    """The entries of some replies."""
    orders = read_orders(connection, viewer, {item.order_id for item in items if item.order_id is not None})
    found = []
    for suggestion in suggestions_for(connection, store, viewer, reader, items):
        item = suggestion.item
        order = orders.get(item.order_id or "")
        claim = None if order is None else order.dialogue.claim_when_asked() or order.dialogue.claim
        found.append(
            InboxEntry(
                id=item.item_id,
                reason=item.reason,
                received_at=item.received_at,
                channel=item.channel,
                language=suggestion.language,
                order_id=item.order_id,
                contact_id=item.contact_id,
                words=suggestion.words,
                claim=None if claim is None else claim_in_words(claim),
                suggested=suggestion.reading,
                proposed=item.reading if item.closed_at is None else None,
                proposed_by=item.proposed_by,
                closed_as=item.closed_as,
            )
        )
    return found


def conversation_of(
    connection: Connection, store: Store, viewer: Principal, reader: Reader, item: InboxItem
) -> InboxConversation:
    """One reply with its conversation."""
    [entry] = entries_of(connection, store, viewer, reader, [item])
    steps = inbox.conversation_of(connection, viewer, store.vault, item)
    return InboxConversation(entry=entry, conversation=tuple(map(view_of, steps)))


def reading_in_words(reading: Reading) -> str:
    """A reading in one line."""
    return statement_in_words(as_statement(reading)) or "nothing that could be counted"


def view_of(step: Utterance) -> UtteranceView:
    """One step of a conversation as it is shown."""
    return UtteranceView(
        at=step.at,
        voice=step.voice,
        words=step.words if step.response is None else response_in_words(step.response),
        channel=step.channel,
        question=step.purpose,
        stated="" if step.stated is None else statement_in_words(step.stated),
        pictures=len(step.pictures),
        picture_addresses=tuple(address for address in step.pictures if address.startswith("https://")),
        waits=step.item_id is not None,
        response=step.response,
        state=None if step.state is None else response_state(step.state),
    )
