"""Builders of events and times with defaults: a test states only the values that matter to it."""

from datetime import UTC, datetime, timedelta
from typing import Any

import msgspec

from pipeline.domain.events.contract import Event
from pipeline.domain.events.decoding import decode

MONDAY = datetime(2026, 3, 2, 9, 0, tzinfo=UTC)


def at(days: float = 0, hours: float = 0) -> datetime:
    """A moment counted from Monday, 2 March 2026, 9:00 UTC."""
    return MONDAY + timedelta(days=days, hours=hours)


def cloud(kind: str, event_id: str, time: datetime, data: dict[str, Any], **more: Any) -> bytes:
    """One CloudEvent as JSON."""
    envelope = {"specversion": "1.0", "id": event_id, "source": "erp", "type": kind, "time": time, "data": data}
    return msgspec.json.encode(envelope | more)


def contact(contact_id: str = "ana", **more: Any) -> dict[str, Any]:
    """A receiver who agreed to SMS and has a phone (a number reserved for fiction)."""
    known: dict[str, Any] = {
        "id": contact_id,
        "role": "receiver",
        "phone": "+447700900123",
        "language": "en",
        "consent": {"sms": True, "source": "contract"},
    }
    return known | more


def completed(order_id: str = "SO-1", time: datetime = MONDAY, event_id: str = "", **data: Any) -> bytes:
    """`order.completed`, by default promised for noon of its day. Attributes of the envelope go under `_`."""
    envelope = data.pop("_", {})
    known: dict[str, Any] = {
        "order_id": order_id,
        "account": {"id": "A-1"},
        "contacts": [contact()],
        "dimensions": {"depot": "Lyon", "carrier": "Nordex"},
        "lines": [{"sku": "GLV-9", "ordered": 10, "delivered": 10}],
        "promised_at": time + timedelta(hours=3),
    }
    return cloud("order.completed", event_id or f"{order_id}:completed", time, known | data, **envelope)


def repromised(order_id: str, time: datetime, promised_at: datetime | str, event_id: str = "", **data: Any) -> bytes:
    """`order.repromised`."""
    known = {"order_id": order_id, "promised_at": promised_at, "reason": "customer agreed", "by": "dispatch"}
    return cloud("order.repromised", event_id or f"{order_id}:repromised:{time:%d%H%M}", time, known | data)


def scanned(
    order_id: str = "SO-1", time: datetime = MONDAY, status: str = "delivered", event_id: str = "", **data: Any
) -> bytes:
    """`delivery.updated`."""
    known = {"order_id": order_id, "status": status, "at": time}
    suffix = f"{data.get('shipment_id', '')}:{time:%d%H%M}"
    return cloud("delivery.updated", event_id or f"{order_id}:{status}:{suffix}", time, known | data)


def cancelled(order_id: str = "SO-1", time: datetime = MONDAY, event_id: str = "", **data: Any) -> bytes:
    """`order.cancelled`: the whole order unless `lines` are named; envelope attributes under `_`."""
    envelope = data.pop("_", {})
    unique = event_id or f"{order_id}:cancelled:{time:%d%H%M}"
    return cloud("order.cancelled", unique, time, {"order_id": order_id} | data, **envelope)


def retracted(of: bytes, time: datetime = MONDAY, event_id: str = "", **data: Any) -> bytes:
    """`delivery.retracted`: that scan was sent by mistake."""
    scan = decode(of)
    known = {"source": scan.source, "id": scan.id, "order_id": scan.data.order_id} | data
    return cloud("delivery.retracted", event_id or f"{scan.id}:retracted", time, known)


def tracked(
    number: str,
    time: datetime = MONDAY,
    status: str = "delivered",
    event_id: str = "",
    source: str = "carrier",
    **data: Any,
) -> bytes:
    """`delivery.updated` of a carrier who knows the tracking number only."""
    known = {"tracking_number": number, "status": status, "at": time}
    unique = event_id or f"{number}:{status}:{time:%m%d%H%M}"
    return cloud("delivery.updated", unique, time, known | data, source=source)


def asked(order_id: str, time: datetime, contact_id: str = "ana", event_id: str = "", **data: Any) -> bytes:
    """`feedback.requested` by another system."""
    known = {"order_id": order_id, "contact_id": contact_id, "account_id": "A-1"}
    return cloud("feedback.requested", event_id or f"{order_id}:asked:{contact_id}", time, known | data)


def answered(
    order_id: str = "SO-1", time: datetime = MONDAY, contact_id: str = "ana", event_id: str = "", **data: Any
) -> bytes:
    """`feedback.received`."""
    known: dict[str, Any] = {"order_id": order_id, "contact_id": contact_id, "answered_at": time}
    unique = event_id or f"{order_id}:answered:{contact_id}:{time:%d%H%M}"
    return cloud("feedback.received", unique, time, known | data)


def event(raw: bytes) -> Event:
    """The decoded event."""
    return decode(raw)
