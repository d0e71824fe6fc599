"""What a person does about a reply that waits: confirm the suggested reading, or give another."""

from collections.abc import Sequence
from datetime import datetime
from typing import NamedTuple

from sqlalchemy import Connection

from pipeline.consumers import corrections
from pipeline.consumers.corrections import Wish
from pipeline.domain.access.principal import Principal
from pipeline.domain.access.two_people import Outcome
from pipeline.domain.answers.parsed_reply import Reader
from pipeline.domain.answers.replies import PlainReader
from pipeline.domain.answers.review import NOTHING_STATED, reading_of, suggested
from pipeline.domain.events.contract import AnswerRef, Reading
from pipeline.store.asks import inbox
from pipeline.store.asks.inbox import Decided
from pipeline.store.reads.inbox import InboxItem, read_item, words_of
from pipeline.store.store import Store

READER: Reader = PlainReader()


class NotInInbox(Exception):
    """There is no such reply, or the person does not see it."""


class NotWaiting(Exception):
    """The reply does not wait any more."""


class NoOrder(Exception):
    """A reading was given to a reply that belongs to no order, so there is no answer that it could correct."""


class Suggestion(NamedTuple):
    """A reply, its words, and the reading that is suggested for them. `language`: of the words; None: not known."""

    item: InboxItem
    words: str
    reading: Reading
    language: str | None


def suggestions_for(
    connection: Connection, store: Store, viewer: Principal, reader: Reader, items: Sequence[InboxItem]
) -> list[Suggestion]:
    """The words of some replies and the readings to suggest."""
    words = words_of(connection, viewer, store.vault, items)
    return [_suggestion(reader, item, words.get(item.item_id, "")) for item in items]


def _suggestion(reader: Reader, item: InboxItem, words: str) -> Suggestion:
    parsed = suggested(reader, words, item.language)
    return Suggestion(item, words, reading_of(parsed), parsed.language or item.language)


def decide(
    connection: Connection,
    store: Store,
    author: Principal,
    reader: Reader,
    item_id: str,
    given: Reading | None,
    origin: str,
    now: datetime,
) -> Outcome:
    """Confirm the suggested reading (`given` is None), or give another, in the caller's transaction.

    Returns whether the reading counts, by the rule of two people. One that states nothing says that there was nothing
    to code: it counts at once. `origin`: the client's address, or "command line". Raises NotInInbox, NotWaiting,
    NoOrder, and Refused if the reply is no longer the contact's newest answer.
    """
    item = read_item(connection, author, item_id, lock=True)
    if item is None:
        raise NotInInbox
    if item.closed_at is not None or item.proposed_at is not None:
        raise NotWaiting
    [suggestion] = suggestions_for(connection, store, author, reader, [item])
    reading = suggestion.reading if given is None else given
    if item.order_id is None and given is not None and given != NOTHING_STATED:
        raise NoOrder
    how: inbox.Closing = "confirmed" if reading == suggestion.reading else "corrected"
    decided = Decided(item_id, how, reading, author.name, suggestion.language, now)
    outcome = _propose(connection, store, author, item, reading, origin, now)
    (inbox.close if outcome == "counts" else inbox.propose)(connection, decided)
    if reading == NOTHING_STATED:
        _count_as_read(connection, store, author, item, now)
    return outcome


def _count_as_read(connection: Connection, store: Store, author: Principal, item: InboxItem, now: datetime) -> None:
    """There was nothing to code: the coverage says so, once nothing else that the contact wrote waits."""
    if item.order_id is None or item.contact_id is None or inbox.waits(connection, item.order_id, item.contact_id):
        return
    wish = Wish(item.order_id, item.contact_id, NOTHING_STATED)
    corrections.count_nothing_to_code(connection, store, author, wish, now)


def _propose(
    connection: Connection,
    store: Store,
    author: Principal,
    item: InboxItem,
    reading: Reading,
    origin: str,
    now: datetime,
) -> Outcome:
    """Propose a reading as a correction of the answer, if there is anything to correct."""
    if item.order_id is None or item.contact_id is None or reading == NOTHING_STATED:
        return "counts"
    wish = Wish(item.order_id, item.contact_id, reading, AnswerRef(item.source, item.event_id))
    return corrections.propose(connection, store, author, wish, origin, now).outcome
