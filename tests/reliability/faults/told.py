"""What a trial tells the cluster: thousands of orders, shuffled, a tenth of it twice, by every way in.

What is compared afterwards must not depend on the order of receipt. So the eventful orders are history, whose facts,
claims, answers and figures do not; and the orders that are asked about have one person each, whom nobody else asks.
"""

from collections.abc import Iterator, Sequence
from datetime import UTC, datetime, timedelta
from enum import Enum
from random import Random
from typing import Any, NamedTuple

import msgspec

from tests.support.builders import completed, contact, repromised, scanned
from tests.support.streams import stream

LIVE = "LIVE-"  # what the orders are called about which somebody is asked
_TWICE = 0.1  # of the events
_BY_HTTP = 0.5  # of those that may come from outside
_BLOCK = 12  # orders of a stream, which has names for so many
# Numbers reserved for fiction: a hundred in each of these areas.
_AREAS = (202, 206, 212, 213, 214, 215, 216, 303, 305, 310, 312, 313, 314, 404, 408, 410, 412, 415, 416, 503, 504, 505)


class Way(Enum):
    """How an event comes in."""

    HTTP = "to the web role"
    KAFKA = "produced to its topic"
    JOURNAL = "stored as a form's answer is"  # what nobody can send from outside


class Item(NamedTuple):
    """One thing that is told."""

    way: Way
    id: str
    topic: str
    raw: bytes
    received_at: datetime | None  # of what is stored as a form's answer is


class _Said(msgspec.Struct):
    id: str
    type: str


_OUTSIDE = {"order.completed": "orders", "order.repromised": "orders", "delivery.updated": "deliveries"}
_said = msgspec.json.Decoder(_Said)


def told(events: int, seed: int = 7, now: datetime | None = None) -> list[Item]:
    """At least so many events, in the order in which they happened. A quarter of them is about live orders."""
    rng, items = Random(seed), list[Item]()
    for raw in _live(events // 4, now or datetime.now(UTC)):
        items.append(_item(rng, raw, None))
    block = 0
    while len(items) < events:
        for one in stream(f"{seed}:{block}", orders=_BLOCK):
            raw = one.raw.replace(b'"SO-', b'"SO-%d-' % block).replace(b'"A-', b'"A-%d-' % block)
            items.append(_item(rng, raw, one.received_at))
        block += 1
    return items


def phone(order_id: str) -> str:
    """The number of whoever is asked about a live order."""
    n = int(order_id.removeprefix(LIVE))
    return f"+1{_AREAS[n // 100]}55501{n % 100:02}"


def disturbed(items: Sequence[Item], seed: int = 7) -> list[Item]:
    """The same shuffled, and some of it again, often by another way."""
    rng = Random(seed)
    again = [_other_way(rng, item) for item in items if rng.random() < _TWICE]
    mixed = [*items, *again]
    rng.shuffle(mixed)
    return mixed


def _live(events: int, now: datetime) -> Iterator[bytes]:
    """Orders of this moment: delivered, promised anew, without consent, and never delivered."""
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
    said = _said.decode(raw)
    topic = _OUTSIDE.get(said.type)
    if topic is None:
        return Item(Way.JOURNAL, said.id, "feedback", raw, received_at)
    return Item(Way.HTTP if rng.random() < _BY_HTTP else Way.KAFKA, said.id, topic, raw, None)


def _other_way(rng: Random, item: Item) -> Item:
    if item.way is Way.JOURNAL:
        return item
    return item._replace(way=rng.choice((Way.HTTP, Way.KAFKA)))
