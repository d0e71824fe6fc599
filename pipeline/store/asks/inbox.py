"""The inbox: replies that wait for a person, until one has read them or the customer has made them clear."""

from collections.abc import Collection
from datetime import datetime
from hashlib import sha256
from typing import Literal, NamedTuple

import msgspec
from sqlalchemy import Connection

from pipeline.domain.answers.review import ENDED_BY_ANSWER, InboxReason, Reading
from pipeline.store.db.bulk import Row, among_rows, insert_new
from pipeline.store.schema.inbox import WAITING, inbox

Closing = Literal["confirmed", "corrected", "clarified"]
"""How an item was closed: a person confirmed the suggested reading or gave another, or the customer made it clear."""


class Clarified(NamedTuple):
    """A person who stated something codable about an order, and when we received it."""

    order_id: str
    contact_id: str
    received_at: datetime


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
    """The row of a reply that waits. The same reply has the same id, so it waits once."""
    return {
        "item_id": sha256(f"{source}\n{event_id}".encode("utf-8", "replace")).hexdigest()[:24],
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


def propose(connection: Connection, item_id: str, reading: Reading, by: str, now: datetime) -> bool:
    """Give an item a reading that a second person has to confirm. False: it does not wait any more, or has one."""
    values = {"reading": _as_json(reading), "proposed_at": now, "proposed_by": by}
    without = inbox.c.item_id == item_id, WAITING, inbox.c.proposed_at.is_(None)
    return connection.execute(inbox.update().where(*without).values(values)).rowcount == 1


def close(connection: Connection, item_id: str, how: Closing, reading: Reading, by: str, now: datetime) -> bool:
    """Close an item with the reading that a person gave it. False: it does not wait any more."""
    values = {"reading": _as_json(reading), "closed_at": now, "closed_as": how, "closed_by": by}
    waiting = inbox.c.item_id == item_id, WAITING
    return connection.execute(inbox.update().where(*waiting).values(values)).rowcount == 1


def _as_json(reading: Reading) -> str:
    return msgspec.json.encode(reading).decode()
