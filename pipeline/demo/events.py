"""The events that the simulated company's systems and customers send about one order."""

from datetime import datetime, timedelta
from typing import Any

import msgspec

from pipeline.demo.people import Person
from pipeline.demo.story import Move, Parcel, Story
from pipeline.sources import Incoming

Timed = tuple[datetime, Incoming]  # time of receipt, event


def events_of(story: Story) -> list[Timed]:
    """All events of one order with their times of receipt, in no particular order."""
    events = [_completed(story)]
    if story.corrected is not None:
        events.append(_corrected(story, story.corrected))
    if story.move is not None:
        events.append(_moved(story, story.move))
    for number, parcel in enumerate(story.parcels, 1):
        events += _scans(story, parcel, f"{story.order_id}-{number}" if len(story.parcels) > 1 else None)
    if story.repeated:
        received, incoming = events[-1]
        events.append((received + timedelta(minutes=9), incoming))
    return events


def _completed(story: Story) -> Timed:
    received = story.completed + story.lag
    if story.paperwork_late and story.scanned is not None:
        received = story.scanned + timedelta(hours=2)
    return received, _order(story, "completed", story.completed, [item.delivered for item in story.items])


def _corrected(story: Story, at: datetime) -> Timed:
    """The order sent again as a correction, with its first line recounted."""
    counted = [item.delivered for item in story.items]
    counted[0] = max(1, counted[0] - 1)
    return at + story.lag, _order(story, "corrected", at, counted)


def _order(story: Story, word: str, at: datetime, delivered: list[int]) -> Incoming:
    customer = story.customer
    data = {
        "order_id": story.order_id,
        "account": {"id": customer.id, "name": customer.name, "tier": customer.tier},
        "contacts": [_contact(person) for person in story.people],
        "dimensions": {
            "region": customer.depot.region,
            "depot": customer.depot.name,
            "carrier": story.carrier,
            "tier": customer.tier,
        },
        "lines": [
            {"sku": item.sku, "ordered": item.ordered, "delivered": pieces}
            for item, pieces in zip(story.items, delivered, strict=True)
        ],
        "shipments": len(story.parcels),
        "ordered_at": story.ordered,
        "requested_at": story.requested,
        "promised_at": story.promised,
        "completed_at": story.completed,
        "timezone": customer.depot.timezone,
    }
    source, name = f"erp/{customer.depot.name}", f"{story.order_id}:{word}"
    return incoming_event("orders", "order.completed", source, name, at, data)


def _contact(person: Person) -> dict[str, Any]:
    consent = {"sms": True, "source": "contract", "at": "2026-01-05T10:00:00Z"} if person.consent else None
    return {
        "id": person.id,
        "role": person.role,
        "name": person.name,
        "phone": person.phone,
        "email": person.email,
        "language": person.language,
        "timezone": person.timezone,
        "consent": consent,
    }


def _moved(story: Story, move: Move) -> Timed:
    source = f"erp/{story.customer.depot.name}"
    data = {
        "order_id": story.order_id,
        "promised_at": move.promised,
        "reason": move.reason,
        "by": move.by,
    }
    name = f"{story.order_id}:moved"
    return move.at + story.lag, incoming_event("orders", "order.repromised", source, name, move.at, data)


def _scans(story: Story, parcel: Parcel, shipment: str | None) -> list[Timed]:
    """The carrier's events about one parcel."""
    scans = [("dispatched", parcel.dispatched)]
    if parcel.scanned is not None:
        if story.eventful:
            scans.append(("out_for_delivery", max(parcel.dispatched, parcel.scanned - timedelta(minutes=100))))
        scans.append(("delivered", parcel.scanned))
    if story.eventful and story.claimed_late and parcel.scanned is not None:
        scans.append(("exception", max(parcel.dispatched, parcel.scanned - timedelta(minutes=150))))
    events = []
    for status, at in scans:
        received = at + story.lag
        if story.shuffled and status == "dispatched" and parcel.scanned is not None:
            received = parcel.scanned + story.lag + timedelta(minutes=5)
        data = {
            "order_id": story.order_id,
            "shipment_id": shipment,
            "status": status,
            "at": at,
            "carrier": story.carrier,
        }
        name = f"{shipment or story.order_id}:{status}"
        event = incoming_event("deliveries", "delivery.updated", f"tms/{story.carrier}", name, at, data)
        events.append((received, event))
    return events


def incoming_event(topic: str, kind: str, source: str, name: str, at: datetime, data: dict[str, Any]) -> Incoming:
    """A CloudEvent about one order that happens `at`, as its topic delivers it. `name`: the event's id."""
    event = {
        "specversion": "1.0",
        "id": name,
        "source": source,
        "type": kind,
        "subject": data["order_id"],
        "time": at,
        "data": data,
    }
    return Incoming(msgspec.json.encode(event), topic, f"{source} {name}")
