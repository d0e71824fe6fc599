"""Tracking numbers: the orders of each, and the events that name a number and no order."""

from collections.abc import Collection, Iterable, Mapping
from datetime import datetime
from typing import Any

import msgspec
from msgspec import Struct
from sqlalchemy import Connection, select

from pipeline.domain.events.contract import KINDS, Event
from pipeline.domain.orders.parcels import MOST_ORDERS
from pipeline.store.db.bulk import Row, among, insert, remove, upsert
from pipeline.store.schema.tracking import tracked_events, tracking_numbers

TRACKED_EVENT = "tracked_event"  # kind of the timer that ends the time for which an event waits for its order


class _Kept(Struct, array_like=True):
    """What `tracked_events` keeps of an event besides its columns."""

    type: str
    time: datetime
    historic: bool
    data: msgspec.Raw


_encode = msgspec.json.Encoder(decimal_format="number").encode
_kept = msgspec.json.Decoder(_Kept)


class TrackingStore:
    """The tracking numbers that one transaction reads and changes."""

    def __init__(self, connection: Connection) -> None:
        self._connection = connection
        self._orders: dict[str, dict[str, datetime]] = {}  # by number
        self._events: dict[str, list[Event]] = {}
        self._new_orders: dict[tuple[str, str], datetime] = {}
        self._new_events: dict[tuple[str, str], Row] = {}
        self._gone: list[tuple[str, str]] = []

    def load(self, numbers: Iterable[str]) -> None:
        """Read what is stored about these numbers in two queries."""
        missing = [number for number in dict.fromkeys(numbers) if number not in self._orders]
        if not missing:
            return
        for number in missing:
            self._orders[number], self._events[number] = {}, []
        found = select(tracking_numbers).where(among(self._connection, tracking_numbers.c.number, missing))
        for number, order_id, since in self._connection.execute(found):
            self._orders[number][order_id] = since
        kept = select(tracked_events).where(among(self._connection, tracked_events.c.number, missing))
        for row in self._connection.execute(kept.order_by(tracked_events.c.source, tracked_events.c.event_id)):
            self._events[row.number].append(_event(row))

    def orders_of(self, number: str) -> Mapping[str, datetime]:
        """The orders of this number, each with the time of the first event that says so; none if it is common."""
        return {} if self.is_common(number) else self._orders[number]

    def is_common(self, number: str) -> bool:
        """Whether too many orders have this number: it identifies no parcel."""
        self.load([number])
        return len(self._orders[number]) > MOST_ORDERS

    def register(self, number: str, order_id: str, since: datetime) -> None:
        """Note that an order has this number."""
        self.load([number])
        self._orders[number][order_id] = since
        self._new_orders[number, order_id] = since

    def events_of(self, number: str) -> Collection[Event]:
        """The kept events with this number."""
        self.load([number])
        return self._events[number]

    def keep(self, number: str, event: Event) -> None:
        """Keep an event for orders that are still to come."""
        self.load([number])
        self._events[number].append(event)
        what = _Kept(event.type, event.time, event.historic, msgspec.Raw(_encode(event.data)))
        self._new_events[event.source, event.id] = {
            "source": event.source,
            "event_id": event.id,
            "number": number,
            "received_at": event.received_at,
            "event": _encode(what).decode(),
        }

    def drop(self, number: str, event: Event) -> None:
        """Stop keeping an event."""
        self._events[number].remove(event)
        if self._new_events.pop((event.source, event.id), None) is None:
            self._gone.append((event.source, event.id))

    def flush(self) -> None:
        """Write what changed."""
        rows = [(*key, since) for key, since in sorted(self._new_orders.items())]
        upsert(self._connection, tracking_numbers, rows, ("number", "order_id", "since"))
        insert(self._connection, tracked_events, [self._new_events[key] for key in sorted(self._new_events)])
        remove(self._connection, tracked_events, sorted(self._gone), ("source", "event_id"))
        self._new_orders.clear()
        self._new_events.clear()
        self._gone.clear()


def first_order_of(connection: Connection, numbers: Collection[str]) -> dict[str, str]:
    """One order of each of these numbers that has any."""
    query = select(tracking_numbers.c.number, tracking_numbers.c.order_id)
    rows = connection.execute(query.where(among(connection, tracking_numbers.c.number, numbers)))
    found: dict[str, str] = {}
    for number, order_id in rows:
        found[number] = min(order_id, found.get(number, order_id))
    return found


def _event(row: Any) -> Event:
    kept = _kept.decode(row.event)
    data = msgspec.json.decode(kept.data, type=KINDS[kept.type].data)
    return Event(row.source, row.event_id, kept.type, kept.time, row.received_at, kept.historic, data)
