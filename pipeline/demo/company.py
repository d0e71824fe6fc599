"""A distributor of invented places and people, day by day: twelve depots, of which three embellish."""

from collections import defaultdict
from collections.abc import Callable, Mapping
from datetime import UTC, date, datetime, time, timedelta
from itertools import accumulate
from random import Random
from typing import Any, TypeVar

import msgspec

from pipeline.demo.people import ASKS_NOTHING, MOVES_PROMISES, SCANS_EARLY, Person, customers
from pipeline.demo.replies import reply
from pipeline.demo.story import Move, Parcel, Story, story_of
from pipeline.domain.events.contract import FeedbackRequested
from pipeline.sources import Incoming

START = date(2026, 6, 1)
LIVE_FROM = 5_000  # of the days from there on, which no history reaches, are the orders that are delivered live
LEVELS = "region:8,depot:20,carrier:8"
EMBELLISHING: Mapping[str, str] = {
    SCANS_EARLY: "scans deliveries before they happen",
    MOVES_PROMISES: "moves promises after they were missed",
    ASKS_NOTHING: "leaves the contacts out of its problem orders",
}

Timed = tuple[datetime, Incoming]  # when it is received, and what

T = TypeVar("T")

_SPAN = 10  # days after which nothing more is heard of an order
_KEPT = 3 * _SPAN  # days whose orders are remembered, to answer for them


class Company:
    """The simulated distributor. Day 0 is `start`, and everything follows from `seed` and the day."""

    def __init__(self, seed: int = 7, start: date = START) -> None:
        self.seed = seed
        self.start = start
        self.customers = customers(seed)
        self._weights = list(accumulate(customer.weight for customer in self.customers))
        self._stories: dict[int, tuple[Story, ...]] = {}
        self._events: dict[int, dict[int, list[Timed]]] = {}

    def midnight(self, n: int) -> datetime:
        """The beginning of day `n`, UTC."""
        return datetime.combine(self.start, time.min, UTC) + timedelta(days=n)

    def stories(self, n: int) -> tuple[Story, ...]:
        """The truth: the orders completed on day `n`."""
        return _kept(self._stories, n, self._draw)

    def day(self, n: int) -> list[Timed]:
        """All that is received on day `n` (UTC), of that day's orders and of those before, in order."""
        heard: list[Timed] = []
        for begun in range(max(0, n - _SPAN), n + 1):
            heard += _kept(self._events, begun, self._tell).get(n, [])
        return sorted(heard, key=lambda timed: (timed[0], timed[1].raw))

    def answer(self, request: FeedbackRequested, at: datetime) -> Timed | None:
        """The customer's reply to a question sent `at`; None for silence or another's order."""
        found = self.asked(request)
        return None if found is None else reply(self.seed, *found, request, at)

    def asked(self, request: FeedbackRequested) -> tuple[Story, Person] | None:
        """The order a question is about and the person it went to; None if they are not ours."""
        place = _place(request.order_id)
        stories = self.stories(place[0]) if place else ()
        if place is None or place[1] >= len(stories):
            return None
        story = stories[place[1]]
        return next(((story, person) for person in story.people if person.id == request.contact_id), None)

    def _draw(self, n: int) -> tuple[Story, ...]:
        rng = Random(f"{self.seed}:{n}")
        buyers = rng.choices(self.customers, cum_weights=self._weights, k=rng.randint(105, 135))
        midnight = self.midnight(n)
        return tuple(story_of(rng, n, number, midnight, buyer) for number, buyer in enumerate(buyers))

    def _tell(self, n: int) -> dict[int, list[Timed]]:
        """The events of day `n`'s orders, by the day on which they are received."""
        told: dict[int, list[Timed]] = defaultdict(list)
        for story in self.stories(n):
            for received, incoming in events_of(story):
                told[(received - self.midnight(0)).days].append((received, incoming))
        return told


def is_live(order_id: str) -> bool:
    """Whether an order is one of those that are delivered live."""
    place = _place(order_id)
    return place is not None and place[0] >= LIVE_FROM


def _place(order_id: str) -> tuple[int, int] | None:
    """The day and the number of an order; None if it is not ours."""
    prefix, _, rest = order_id.partition("-")
    day, _, number = rest.partition("-")
    return (int(day), int(number)) if prefix == "SO" and day.isdecimal() and number.isdecimal() else None


def _kept(store: dict[int, T], n: int, make: Callable[[int], T]) -> T:
    """What `make` gives for day `n`, made once as long as it is among the days kept."""
    found = store.get(n)
    if found is None:
        found = store[n] = make(n)
        if len(store) > _KEPT:
            del store[next(iter(store))]
    return found


def events_of(story: Story) -> list[Timed]:
    """All events of one order with the times they are received, in no particular order."""
    told = [_completed(story)]
    if story.corrected is not None:
        told.append(_corrected(story, story.corrected))
    if story.move is not None:
        told.append(_moved(story, story.move))
    for number, parcel in enumerate(story.parcels, 1):
        told += _scans(story, parcel, f"{story.order_id}-{number}" if len(story.parcels) > 1 else None)
    if story.repeated:
        received, incoming = told[-1]
        told.append((received + timedelta(minutes=9), incoming))
    return told


def _completed(story: Story) -> Timed:
    received = story.completed + story.lag
    if story.paperwork_late and story.scanned is not None:
        received = story.scanned + timedelta(hours=2)
    return received, _order(story, "completed", story.completed, [item.delivered for item in story.items])


def _corrected(story: Story, at: datetime) -> Timed:
    """The same order once more, its first line counted again."""
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
    return _incoming("orders", "order.completed", f"erp/{customer.depot.name}", f"{story.order_id}:{word}", at, data)


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
    return move.at + story.lag, _incoming("orders", "order.repromised", source, name, move.at, data)


def _scans(story: Story, parcel: Parcel, shipment: str | None) -> list[Timed]:
    """What the carrier reports of one parcel."""
    scans = [("dispatched", parcel.dispatched)]
    if parcel.scanned is not None:
        if story.eventful:
            scans.append(("out_for_delivery", max(parcel.dispatched, parcel.scanned - timedelta(minutes=100))))
        scans.append(("delivered", parcel.scanned))
    if story.eventful and story.claimed_late and parcel.scanned is not None:
        scans.append(("exception", max(parcel.dispatched, parcel.scanned - timedelta(minutes=150))))
    told = []
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
        told.append((received, _incoming("deliveries", "delivery.updated", f"tms/{story.carrier}", name, at, data)))
    return told


def _incoming(topic: str, kind: str, source: str, name: str, at: datetime, data: dict[str, Any]) -> Incoming:
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
