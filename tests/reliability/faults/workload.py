"""The workload of a trial: thousands of orders, shuffled, a tenth of the events twice, over every intake.

The final state depends on the events and their times of receipt only, not on the order of processing. So the eventful
orders are historic. The orders with questions have one contact each, who belongs to no other order.
"""

from collections.abc import Iterator, Sequence
from datetime import UTC, datetime, timedelta
from enum import Enum
from random import Random
from typing import Any, NamedTuple

import msgspec

from tests.support.builders import completed, contact, repromised, scanned
from tests.support.streams import stream

LIVE = "LIVE-"  # prefix of the ids of orders with questions
_TWICE = 0.1  # of the events
_BY_HTTP = 0.5  # share of the events that external systems send
_BLOCK = 12  # orders in one stream, the most it has names for
# Numbers reserved for fiction: a hundred in each of these areas.
_AREAS = (202, 206, 212, 213, 214, 215, 216, 303, 305, 310, 312, 313, 314, 404, 408, 410, 412, 415, 416, 503, 504, 505)


class Intake(Enum):
    """How an event enters the cluster."""

    HTTP = "to the web role"
    KAFKA = "produced to its topic"
    JOURNAL = "stored as a form's answer is"  # events that external systems cannot send


class Item(NamedTuple):
    """One event of the workload."""

    intake: Intake
    id: str
    topic: str
    raw: bytes
    received_at: datetime | None  # of an event for the journal


class _IdAndType(msgspec.Struct):
    id: str
    type: str


_OUTSIDE = {
    "order.completed": "orders",
    "order.repromised": "orders",
    "order.cancelled": "orders",
    "delivery.updated": "deliveries",
    "delivery.retracted": "deliveries",
}
_decode_id_and_type = msgspec.json.Decoder(_IdAndType)


def workload(events: int, seed: int = 7, now: datetime | None = None) -> list[Item]:
    """At least that many events, in the order in which they happened. A quarter of them is about live orders."""
    rng, items = Random(seed), list[Item]()
    for raw in _live(events // 4, now or datetime.now(UTC)):
        items.append(_item(rng, raw, None))
    block = 0
    while len(items) < events:
        for one in stream(f"{seed}:{block}", orders=_BLOCK):
            raw = one.raw.replace(b'"SO-', b'"SO-%d-' % block).replace(b'"A-', b'"A-%d-' % block)
            raw = raw.replace(b'"1Z ', b'"1Z %d-' % block)
            items.append(_item(rng, raw, one.received_at))
        block += 1
    return items


def phone(order_id: str) -> str:
    """The phone number of a live order's contact."""
    n = int(order_id.removeprefix(LIVE))
    return f"+1{_AREAS[n // 100]}55501{n % 100:02}"


def shuffled_with_repeats(items: Sequence[Item], seed: int = 7) -> list[Item]:
    """The events in random order, some of them twice, often over another intake."""
    rng = Random(seed)
    again = [_other_intake(rng, item) for item in items if rng.random() < _TWICE]
    mixed = [*items, *again]
    rng.shuffle(mixed)
    return mixed


def _live(events: int, now: datetime) -> Iterator[bytes]:
    """Current orders: delivered, with a moved promise, without consent, and never delivered."""
    began, made = now - timedelta(hours=3), 0
    for n in range(len(_AREAS) * 100):
        order_id, soon = f"{LIVE}{n}", now + timedelta(hours=1)
        kind, person = n % 4, contact(f"c{n}", phone=phone(order_id))
        if kind == 2:
            person["consent"] = None
        known: dict[str, Any] = {"contacts": [person], "account": {"id": f"{LIVE}A{n}"}}
        if kind == 3:
            raws = [completed(order_id, began - timedelta(days=2), promised_at=now - timedelta(hours=30), **known)]
        else:
            raws = [completed(order_id, began, promised_at=soon, **known), scanned(order_id, now, at=now)]
        if kind == 1:
            raws.append(repromised(order_id, began, soon + timedelta(hours=1)))
            raws.append(scanned(order_id, began, "dispatched"))
        yield from raws
        made += len(raws)
        if made >= events:
            return


def _item(rng: Random, raw: bytes, received_at: datetime | None) -> Item:
    event = _decode_id_and_type.decode(raw)
    topic = _OUTSIDE.get(event.type)
    if topic is None:
        return Item(Intake.JOURNAL, event.id, "feedback", raw, received_at)
    return Item(Intake.HTTP if rng.random() < _BY_HTTP else Intake.KAFKA, event.id, topic, raw, None)


def _other_intake(rng: Random, item: Item) -> Item:
    if item.intake is Intake.JOURNAL:
        return item
    return item._replace(intake=rng.choice((Intake.HTTP, Intake.KAFKA)))
