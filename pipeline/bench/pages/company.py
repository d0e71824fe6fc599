"""The events of a large company: two years of orders from 200 depots, in the order in which they happened.

The same number of orders always gives the same events. All are historic, so nobody is asked anything.
"""

from collections.abc import Iterable, Iterator, Mapping
from datetime import UTC, datetime, time, timedelta
from random import Random
from typing import Any, NamedTuple

import msgspec

from pipeline.demo.comments import COMMENTS, Mood
from pipeline.sources import Incoming

LEVELS = "region:20,depot:250,carrier:30"
DAYS = 730
FIRST_DAY = datetime(2024, 11, 20, tzinfo=UTC)
DEPOTS = 200
REGIONS = 16
CARRIERS = 20
ORDERS_AN_ACCOUNT = 50
ANSWERED = 0.2  # share of the orders
_WITH_WORDS = 0.25  # share of the answers
_CLAIMED_LATE = 0.05  # share of the orders
_HONESTLY_DENIED = 0.03  # share of the claims on time that customers deny
_EMBELLISHED = 0.4  # the same share, where a depot embellishes
_EMBELLISHING = (3, 57, 111, 160)  # depots, over the last months
_EMBELLISH_FROM = DAYS - 80
RECENT_FROM = DAYS - 110
"""The first day whose orders go through the runner. Those before have no names and no words."""
_ROLES = ("receiver", "purchaser", "user")


class Order(NamedTuple):
    """An order, and what its customer says about it; `said` None: no answer."""

    number: int
    account: int
    depot: int
    day: int
    late: bool
    said: str | None
    score: int
    words: str | None


def past(orders: int) -> Iterator[Order]:
    """The orders before `RECENT_FROM`."""
    for day in range(RECENT_FROM):
        yield from orders_of(day, orders)


def recent(orders: int) -> Iterator[Incoming]:
    """The events of the orders from then on, about 2.4 for each."""
    for day in range(RECENT_FROM, DAYS):
        yield from day_of(orders_of(day, orders))


def orders_of(day: int, orders: int) -> list[Order]:
    """The orders of a day; `orders`: of the whole company."""
    return [order_of(number, day, orders) for number in range(orders * day // DAYS, orders * (day + 1) // DAYS)]


def order_of(number: int, day: int, orders: int) -> Order:
    """The order of that number; `orders`: of the whole company."""
    rng = Random(number)
    accounts = max(orders // ORDERS_AN_ACCOUNT, 1)
    account = min(int(accounts * rng.random() ** 1.5), accounts - 1)  # some order much more than others
    depot = account % DEPOTS
    late = rng.random() < _CLAIMED_LATE
    if rng.random() >= ANSWERED:
        return Order(number, account, depot, day, late, None, 0, None)
    embellishes = depot in _EMBELLISHING and day >= _EMBELLISH_FROM
    denied = late or rng.random() < (_EMBELLISHED if embellishes else _HONESTLY_DENIED)
    mood: Mood = "late" if denied else "damaged" if rng.random() < 0.03 else "content"
    score = rng.choice((2, 3, 5, 6)) if mood != "content" else rng.choice((7, 8, 9, 9, 10, 10))
    words = rng.choice(COMMENTS["en"][mood]) if rng.random() < _WITH_WORDS and day >= RECENT_FROM else None
    return Order(number, account, depot, day, late, mood, score, words)


def day_of(orders: Iterable[Order]) -> Iterator[Incoming]:
    """The events of one day's orders, by time."""
    orders = list(orders)
    for hour, make in ((7, completed), (12, delivered), (15, requested), (17, answered)):
        for order in orders:
            made = make(order, midnight(order.day) + timedelta(hours=hour, seconds=order.number % 3600))
            if made is not None:
                yield made


def midnight(day: int) -> datetime:
    """The start of a day of the company, UTC."""
    return datetime.combine(FIRST_DAY.date(), time.min, UTC) + timedelta(days=day)


def completed(order: Order, at: datetime) -> Incoming:
    """`order.completed`, promised for noon or for the evening."""
    account, recent = order.account, order.day >= RECENT_FROM
    contacts = [
        {"id": f"C-{account}-{role}", "role": role, "name": f"{role.title()} {account}" if recent else None}
        for role in _ROLES[: 1 + account % len(_ROLES)]
    ]
    promised = midnight(order.day) + timedelta(hours=11 if order.late else 20)
    data = {
        "order_id": order_id(order.number),
        "account": {
            "id": f"A-{account}",
            "name": f"Customer {account}",
            "tier": "key" if account % 9 == 0 else "small",
        },
        "contacts": contacts,
        "dimensions": {
            "region": f"Region {order.depot % REGIONS:02}",
            "depot": f"Depot {order.depot:03}",
            "carrier": f"Carrier {(order.number + order.depot) % CARRIERS:02}",
        },
        "lines": [{"sku": f"SKU-{order.number % 97}", "ordered": 10, "delivered": 10}],
        "promised_at": promised,
        "completed_at": at,
    }
    return _incoming("orders", "order.completed", f"{order.number}:c", at, data)


def delivered(order: Order, at: datetime) -> Incoming:
    """The scan of the delivery."""
    data = {"order_id": order_id(order.number), "status": "delivered", "at": at}
    return _incoming("deliveries", "delivery.updated", f"{order.number}:d", at, data)


def requested(order: Order, at: datetime) -> Incoming | None:
    """The question, of those who answer."""
    if order.said is None:
        return None
    data = {"order_id": order_id(order.number), "contact_id": _asked(order), "purpose": "delivery", "channel": "sms"}
    return _incoming("feedback", "feedback.requested", f"{order.number}:q", at, data)


def answered(order: Order, at: datetime) -> Incoming | None:
    """The answer, if there is one."""
    if order.said is None:
        return None
    data: dict[str, Any] = {
        "order_id": order_id(order.number),
        "contact_id": _asked(order),
        "channel": "sms",
        "answered_at": at,
        "arrival": "late" if order.said == "late" else "on_time",
        "complete": True,
        "condition": ["damaged"] if order.said == "damaged" else [],
        "score": {"value": order.score, "scale": 10},
    }
    if order.words is not None:
        data["comment"] = order.words
    return _incoming("feedback", "feedback.received", f"{order.number}:a", at, data)


def order_id(number: int) -> str:
    """The id of an order."""
    return f"SO-{number:08}"


def _asked(order: Order) -> str:
    return f"C-{order.account}-{_ROLES[order.number % (1 + order.account % len(_ROLES))]}"


def _incoming(topic: str, kind: str, name: str, at: datetime, data: Mapping[str, Any]) -> Incoming:
    event = {
        "specversion": "1.0",
        "id": name,
        "source": "bench",
        "type": kind,
        "time": at,
        "historic": True,
        "data": data,
    }
    return Incoming(msgspec.json.encode(event), topic, f"bench {name}")
