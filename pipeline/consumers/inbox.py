"""What a person does about a reply that waits: confirm the suggested reading, or give another."""

from datetime import datetime
from typing import NamedTuple

from sqlalchemy import Connection

from pipeline import metrics
from pipeline.consumers import corrections
from pipeline.consumers.corrections import Correction, Outcome
from pipeline.domain.answers.parsed_reply import Reader
from pipeline.domain.answers.reading.lexicon import LANGUAGES
from pipeline.domain.answers.review import NOTHING_STATED, Reading, suggested
from pipeline.store.asks import inbox
from pipeline.store.reads.inbox import InboxItem, read_item, words_of
from pipeline.store.store import Store


class NotWaiting(Exception):
    """There is no such reply, or it does not wait any more."""


class NoOrder(Exception):
    """A reading was given to a reply that belongs to no order, so there is no answer that it could correct."""


class Suggestion(NamedTuple):
    """A reply that waits, its words, and the reading that is suggested for them."""

    item: InboxItem
    words: str
    reading: Reading


def suggestion_for(connection: Connection, store: Store, reader: Reader, item: InboxItem) -> Suggestion:
    """The words of a reply and the reading to suggest."""
    words = words_of(connection, store.vault, item)
    return Suggestion(item, words, Reading.of(suggested(reader, words, item.language)))


def decide(
    connection: Connection, store: Store, reader: Reader, item_id: str, given: Reading | None, by: str, now: datetime
) -> Outcome:
    """Confirm the suggested reading (`given` is None), or give another, in the caller's transaction.

    Returns whether the reading counts. One that states nothing says that there was nothing to code: it counts at once.
    Raises NotWaiting or NoOrder.
    """
    item = read_item(connection, item_id)
    if item is None or item.closed_at is not None or item.proposed_at is not None:
        raise NotWaiting
    suggestion = suggestion_for(connection, store, reader, item)
    reading = suggestion.reading if given is None else given
    outcome = _submit(connection, store, item, reading, given is not None, by)
    how: inbox.Closing = "confirmed" if reading == suggestion.reading else "corrected"
    changed = (
        inbox.close(connection, item_id, how, reading, by, now)
        if outcome == "counts"
        else inbox.propose(connection, item_id, reading, by, now)
    )
    if not changed:  # somebody else was faster
        raise NotWaiting
    metrics.READINGS_REVIEWED.labels(item.language if item.language in LANGUAGES else "other", how).inc()
    return outcome


def _submit(
    connection: Connection, store: Store, item: InboxItem, reading: Reading, is_given: bool, by: str
) -> Outcome:
    """Submit a reading as a correction of the answer, if there is anything to correct."""
    if item.order_id is None or item.contact_id is None:
        if is_given and reading != NOTHING_STATED:
            raise NoOrder
        return "counts"
    if reading == NOTHING_STATED:
        return "counts"
    correction = Correction(item.order_id, item.contact_id, item.source, item.event_id, reading, by)
    return corrections.submit(connection, store, correction)
