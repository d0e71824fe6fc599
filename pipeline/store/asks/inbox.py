"""The inbox: replies that wait for a person, until one has read them or the customer has made them clear."""

from collections.abc import Collection, Mapping
from datetime import datetime
from hashlib import sha256
from typing import Literal, NamedTuple

import msgspec
from sqlalchemy import Connection, case, select

from pipeline.domain.answers.review import ENDED_BY_ANSWER, InboxReason
from pipeline.domain.events.contract import FeedbackCorrected, Reading
from pipeline.store.db.bulk import Row, among_rows, insert_new
from pipeline.store.schema.inbox import WAITING, inbox

Closing = Literal["confirmed", "corrected", "clarified"]
"""How an item was closed: a person confirmed the suggested reading or gave another, or the customer made it clear."""


class Clarified(NamedTuple):
    """A person who stated something codable about an order, and when we received it."""

    order_id: str
    contact_id: str
    received_at: datetime


class Decided(NamedTuple):
    """What a person decided about an item, and when. `language`: that of the words, None: not known."""

    item_id: str
    how: Closing
    reading: Reading
    by: str
    language: str | None
    at: datetime


def item_id_of(source: str, event_id: str) -> str:
    """The id of the item of a reply, which waits once. `source` and `event_id`: of its `feedback.received`."""
    return sha256(f"{source}\n{event_id}".encode("utf-8", "replace")).hexdigest()[:24]


def item_row(
    reason: InboxReason,
    source: str,
    event_id: str,
    channel: str,
    received_at: datetime,
    *,
    order_id: str | None = None,
    contact_id: str | None = None,
    sender: str | None = None,
    language: str | None = None,
) -> Row:
    """The row of a reply that waits."""
    return {
        "item_id": item_id_of(source, event_id),
        "reason": reason,
        "source": source,
        "event_id": event_id,
        "channel": channel,
        "received_at": received_at,
        "order_id": order_id,
        "contact_id": contact_id,
        "sender": sender,
        "language": language,
    }


def add(connection: Connection, rows: Collection[Row]) -> None:
    """Add replies that wait; those that are known stay as they are."""
    insert_new(connection, inbox, list(rows))


def clarify(connection: Connection, clarified: Collection[Clarified]) -> None:
    """Close what waits only because it was not understood, as its author has stated something since."""
    for at in sorted({one.received_at for one in clarified}):
        people = [(one.order_id, one.contact_id) for one in clarified if one.received_at == at]
        open_earlier = WAITING, inbox.c.reason.in_(ENDED_BY_ANSWER), inbox.c.received_at <= at
        theirs = among_rows(connection, (inbox.c.order_id, inbox.c.contact_id), people)
        closed = {"closed_at": at, "closed_as": "clarified"}
        connection.execute(inbox.update().where(theirs, *open_earlier).values(closed))


def propose(connection: Connection, decided: Decided) -> None:
    """Keep a reading with an item until a second person has confirmed it."""
    values = _reading_columns(decided) | {
        "proposed_at": decided.at,
        "proposed_by": decided.by,
        "proposed_as": decided.how,
    }
    connection.execute(inbox.update().where(inbox.c.item_id == decided.item_id, WAITING).values(values))


def close(connection: Connection, decided: Decided) -> None:
    """Close an item with the reading that a person gave it."""
    values = _reading_columns(decided) | {"closed_at": decided.at, "closed_by": decided.by, "closed_as": decided.how}
    connection.execute(inbox.update().where(inbox.c.item_id == decided.item_id, WAITING).values(values))


def waits(connection: Connection, order_id: str, contact_id: str) -> bool:
    """Whether anything that a contact wrote about an order waits for a person."""
    theirs = inbox.c.order_id == order_id, inbox.c.contact_id == contact_id
    return connection.execute(select(inbox.c.item_id).where(*theirs, WAITING).limit(1)).first() is not None


def end_read(connection: Connection, corrections: Mapping[str, FeedbackCorrected]) -> None:
    """Close the items, by id, about whose answers a person's reading counts now."""
    for item_id, correction in sorted(corrections.items()):
        reading = _as_json(correction.reading)
        values = {
            "reading": reading,
            "closed_at": correction.at,
            "closed_by": correction.by,
            # Another reading than the one proposed here came about without the inbox.
            "closed_as": case((inbox.c.reading == reading, inbox.c.proposed_as), else_="corrected"),
        }
        connection.execute(inbox.update().where(inbox.c.item_id == item_id, WAITING).values(values))


def withdraw(connection: Connection, contacts: Collection[tuple[str, str]]) -> None:
    """Drop the readings proposed of what these contacts (order, contact) said: they have answered again."""
    if not contacts:
        return
    theirs = among_rows(connection, (inbox.c.order_id, inbox.c.contact_id), sorted(contacts))
    proposed = WAITING, inbox.c.proposed_at.is_not(None)
    empty = dict.fromkeys(("reading", "proposed_at", "proposed_by", "proposed_as"))
    connection.execute(inbox.update().where(theirs, *proposed).values(empty))


def _reading_columns(decided: Decided) -> Row:
    return {"reading": _as_json(decided.reading), "language": decided.language}


def _as_json(reading: Reading) -> str:
    return msgspec.json.encode(reading).decode()
