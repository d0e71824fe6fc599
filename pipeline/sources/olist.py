"""Real history: the Brazilian e-commerce public dataset by Olist, its five tables turned into our events.

Rows that cannot be used come first, as dead letters (they have no time), then every event in the order it
happened. A row is used whole or not at all: a fault names file, line and column, the rest goes through. A row
that holds NUL characters or is not UTF-8 becomes a dead letter with its very bytes. Only the columns named
below are read: what stands in the others is nobody's trouble.
"""

from collections.abc import Container, Iterator
from datetime import date, datetime, time, timedelta, timezone
from functools import lru_cache
from pathlib import Path
from typing import Any, NamedTuple
from zoneinfo import ZoneInfo

from msgspec import UNSET, Struct, UnsetType
from msgspec.json import Encoder

from pipeline.domain.events.contract import BadEvent
from pipeline.sources import Incoming
from pipeline.sources.table import Table, Take

LEVELS = "region:27,origin:27,consolidation:27"
SOURCE = "olist"
TIMEZONE = "America/Sao_Paulo"  # the tables' times are local to it and carry no offset

ORDERS = "olist_orders_dataset.csv"
ITEMS = "olist_order_items_dataset.csv"
REVIEWS = "olist_order_reviews_dataset.csv"
CUSTOMERS = "olist_customers_dataset.csv"
SELLERS = "olist_sellers_dataset.csv"

_json = Encoder().encode
_ZONE = ZoneInfo(TIMEZONE)
_LONGEST_KEY = 90  # characters: two keys and a word make an event's id, which holds 200
_LONGEST_COMMENT = 8_000
_LONGEST_SKU = 100

_ORDER_COLUMNS = (
    "order_id",
    "customer_id",
    "order_status",
    "order_purchase_timestamp",
    "order_approved_at",
    "order_delivered_carrier_date",
    "order_delivered_customer_date",
    "order_estimated_delivery_date",
)
_REVIEW_COLUMNS = (
    "review_id",
    "order_id",
    "review_score",
    "review_comment_title",
    "review_comment_message",
    "review_creation_date",
    "review_answer_timestamp",
)
_SCORES = frozenset("12345")

# The kinds of event, in the order in which they follow each other at the same instant.
_COMPLETED, _DISPATCHED, _DELIVERED, _RETURNED, _REQUESTED, _RECEIVED = range(6)
_TOPIC = ("orders", "deliveries", "deliveries", "deliveries", "feedback", "feedback")
_STATUS = {_DISPATCHED: "dispatched", _DELIVERED: "delivered", _RETURNED: "returned"}


class _Order(NamedTuple):
    order_id: str
    account: str
    region: str
    canceled: bool
    purchased: datetime
    completed: datetime
    carrier: datetime | None
    delivered: datetime | None
    promised: date | None
    line: int


class _Review(NamedTuple):
    review_id: str
    order_id: str
    account: str
    score: int
    comment: str
    asked: datetime
    answered: datetime | None
    received: datetime
    line: int


class _Event(Struct, frozen=True):
    """A CloudEvent, marked as historic: nobody is to be asked. Structs are written twice as fast as dicts."""

    id: str
    type: str
    subject: str
    time: datetime
    data: Any
    source: str = SOURCE
    specversion: str = "1.0"
    historic: bool = True


class _Scan(Struct, frozen=True):
    order_id: str
    status: str
    at: datetime


class _Request(Struct, frozen=True):
    order_id: str
    contact_id: str
    purpose: str = "delivery"
    channel: str = "email"


class _Score(Struct, frozen=True):
    value: int
    scale: int = 5


class _Answer(Struct, frozen=True):
    order_id: str
    contact_id: str
    answered_at: datetime | None
    score: _Score
    comment: str | UnsetType
    channel: str = "email"


# When (as a number, quicker to compare than times with offsets), which kind, which order, which review: what
# events are sorted by. Their text waits until they are due.
_Entry = tuple[float, int, str, str]


class OlistHistory:
    """The history in a folder of five CSV files, plain or .gz, under their original names."""

    def __init__(self, path: Path) -> None:
        """Read all five files. Raises `table.UnreadableSource` naming a file (and column) that is missing."""
        self._faults: list[Incoming] = []
        orders = Table(path, ORDERS, _ORDER_COLUMNS)
        items = Table(path, ITEMS, ("order_id", "order_item_id", "product_id", "seller_id"))
        reviews = Table(path, REVIEWS, _REVIEW_COLUMNS)
        customers = Table(path, CUSTOMERS, ("customer_id", "customer_unique_id", "customer_state"))
        sellers = Table(path, SELLERS, ("seller_id", "seller_state"))
        self._customers: dict[str, tuple[str, str]] = {}
        self._states: dict[str, str] = {}
        self._orders: dict[str, _Order] = {}
        # Per order and item number: product, seller.
        self._items: dict[str, dict[int, tuple[str, str]]] = {}
        self._reviews: dict[tuple[str, str], _Review] = {}
        self._read(customers, "orders", self._customer)
        self._read(sellers, "orders", self._seller)
        self._read(orders, "orders", self._order)
        self._read(items, "orders", self._item)
        self._read(reviews, "feedback", self._review)
        self._customers.clear()
        self._entries = sorted(self._timeline())

    def __len__(self) -> int:
        """The number of incomings, dead letters included."""
        return len(self._faults) + len(self._entries)

    def __iter__(self) -> Iterator[Incoming]:
        """Yield the dead letters, then the events in the order of their time."""
        yield from self._faults
        for _, kind, order_id, review_id in self._entries:
            if kind < _REQUESTED:
                order = self._orders[order_id]
                event = self._completed(order) if kind == _COMPLETED else _scanned(order, kind)
                yield Incoming(_json(event), _TOPIC[kind], f"{ORDERS}:{order.line}")
            else:
                review = self._reviews[review_id, order_id]
                event = _requested(review) if kind == _REQUESTED else _received(review)
                yield Incoming(_json(event), _TOPIC[kind], f"{REVIEWS}:{review.line}")

    # Reading: each method takes a row's values into memory or raises BadEvent naming the column.

    def _read(self, table: Table, topic: str, take: Take) -> None:
        """Take in a table row by row; what cannot be used becomes a dead letter of `topic`."""
        for line, raw, fault in table.read(take):
            self._faults.append(Incoming(raw, topic, f"{table.name}:{line}", fault))

    def _customer(self, values: tuple[str, ...], line: int) -> None:
        customer_id, account, state = values
        _new(customer_id, "customer_id", self._customers)
        _key(account, "customer_unique_id")
        self._customers[customer_id] = (account, _state(state, "customer_state"))

    def _seller(self, values: tuple[str, ...], line: int) -> None:
        seller_id, state = values
        _new(seller_id, "seller_id", self._states)
        self._states[seller_id] = _state(state, "seller_state")

    def _order(self, values: tuple[str, ...], line: int) -> None:
        order_id, customer_id, status, purchase, approval, handover, arrival, estimate = values
        _new(order_id, "order_id", self._orders)
        customer = self._customers.get(customer_id)
        if customer is None:
            _key(customer_id, "customer_id")
            raise BadEvent(f"{customer_id!r} is not among the readable rows of {CUSTOMERS}", "customer_id")
        if not purchase:
            raise BadEvent("is empty", "order_purchase_timestamp")
        purchased = _time(purchase, "order_purchase_timestamp")
        approved = _time(approval, "order_approved_at") if approval else None
        carrier = _time(handover, "order_delivered_carrier_date") if handover else None
        delivered = _time(arrival, "order_delivered_customer_date") if arrival else None
        promised = _day(estimate, "order_estimated_delivery_date") if estimate else None
        completed = carrier or approved or purchased
        self._orders[order_id] = _Order(
            order_id,
            *customer,
            status == "canceled",
            purchased,
            completed,
            carrier,
            delivered,
            promised,
            line,
        )

    def _item(self, values: tuple[str, ...], line: int) -> None:
        order_id, number, product, seller = values
        if order_id not in self._orders:
            raise _unknown_order(order_id)
        if not (number.isascii() and number.isdigit() and len(number) < 10):
            raise BadEvent(f"{number!r} is not a whole number", "order_item_id")
        items = self._items.setdefault(order_id, {})
        if int(number) in items:
            raise BadEvent(f"the item {number} of the order {order_id!r} was seen twice", "order_item_id")
        items[int(number)] = _same(product, "product_id"), _same(seller, "seller_id")

    def _review(self, values: tuple[str, ...], line: int) -> None:
        review_id, order_id, score, title, message, creation, answer = values
        order = self._orders.get(order_id)
        if order is None:
            raise _unknown_order(order_id)
        _key(review_id, "review_id")
        if (review_id, order_id) in self._reviews:
            raise BadEvent(f"the review {review_id!r} of the order {order_id!r} was seen twice", "review_id")
        if score not in _SCORES:
            raise BadEvent(f"{score!r} is not a score from 1 to 5", "review_score")
        comment = f"{title}\n{message}" if title and message else title or message
        if len(comment) > _LONGEST_COMMENT:
            raise BadEvent(f"is longer than {_LONGEST_COMMENT} characters", "review_comment_message")
        created = _day(creation, "review_creation_date") if creation else None
        answered = _time(answer, "review_answer_timestamp") if answer else None
        received = answered or _end_of_day(created or _last_seen(order))
        asked = _end_of_day(created) if created else received
        self._reviews[review_id, order_id] = _Review(
            review_id, order_id, order.account, int(score), comment, asked, answered, received, line
        )

    # Telling: the events of what was read.

    def _timeline(self) -> Iterator[_Entry]:
        """Yield an entry for every event, unsorted."""
        for order in self._orders.values():
            yield order.completed.timestamp(), _COMPLETED, order.order_id, ""
            if order.carrier is not None:
                yield order.carrier.timestamp(), _DISPATCHED, order.order_id, ""
            if order.delivered is not None:
                yield order.delivered.timestamp(), _DELIVERED, order.order_id, ""
                # The source says itself that this fulfilment did not stand: it came back as it arrived.
                if order.canceled:
                    yield order.delivered.timestamp(), _RETURNED, order.order_id, ""
        for review in self._reviews.values():
            yield review.asked.timestamp(), _REQUESTED, review.order_id, review.review_id
            yield review.received.timestamp(), _RECEIVED, review.order_id, review.review_id

    def _completed(self, order: _Order) -> _Event:
        """`order.completed`: what the source says of an order at the moment it left the seller's hands."""
        items = [item for _, item in sorted(self._items.get(order.order_id, {}).items())]
        sellers = len({seller for _, seller in items})
        dimensions = {"region": order.region} if order.region else {}
        if items:
            origin = self._states.get(items[0][1])
            if origin:
                dimensions["origin"] = origin
            dimensions["consolidation"] = "one_seller" if sellers == 1 else "several_sellers"
        data = {
            "order_id": order.order_id,
            "account": {"id": order.account},
            "contacts": [
                {"id": order.account, "role": "receiver", "language": "pt", "timezone": TIMEZONE},
            ],
            "dimensions": dimensions,
            "lines": _lines(items),
            "shipments": max(1, sellers),
            "ordered_at": order.purchased,
            "promised_at": order.promised,
            "timezone": TIMEZONE,
            "completed_at": order.completed,
        }
        return _Event(f"{order.order_id}:completed", "order.completed", order.order_id, order.completed, data)


def _lines(items: list[tuple[str, str]]) -> list[dict[str, Any]]:
    """One line per product. What was delivered of it stays unsaid: the source has no such quantity."""
    ordered: dict[str, int] = {}
    for product, _ in items:
        ordered[product] = ordered.get(product, 0) + 1
    return [{"sku": product[:_LONGEST_SKU], "ordered": number} for product, number in ordered.items()]


def _scanned(order: _Order, kind: int) -> _Event:
    """`delivery.updated` of no shipment: the source has one stamp per order, however many parcels it had."""
    at = order.carrier if kind == _DISPATCHED else order.delivered
    assert at is not None  # noqa: S101 - the timeline has no scan without its time
    status = _STATUS[kind]
    return _Event(
        f"{order.order_id}:{status}",
        "delivery.updated",
        order.order_id,
        at,
        _Scan(order.order_id, status, at),
    )


def _requested(review: _Review) -> _Event:
    """`feedback.requested`: the source knows only the day, so it is asked when that day is over."""
    return _Event(
        f"{review.review_id}:{review.order_id}:requested",
        "feedback.requested",
        review.order_id,
        review.asked,
        _Request(review.order_id, review.account),
    )


def _received(review: _Review) -> _Event:
    """`feedback.received`: the answer, which may precede the end of the day on which it was asked for."""
    score, comment = _Score(review.score), review.comment or UNSET
    return _Event(
        f"{review.review_id}:{review.order_id}:received",
        "feedback.received",
        review.order_id,
        review.received,
        _Answer(review.order_id, review.account, review.answered, score, comment),
    )


def _key(text: str, column: str) -> None:
    """Raise BadEvent for a text that can name nothing."""
    if not text:
        raise BadEvent("is empty", column)
    if len(text) > _LONGEST_KEY:
        raise BadEvent(f"is longer than {_LONGEST_KEY} characters", column)


def _new(key: str, column: str, known: Container[str]) -> None:
    """Raise BadEvent for a key that is already known."""
    _key(key, column)
    if key in known:
        raise BadEvent(f"{key!r} was seen twice", column)


def _unknown_order(order_id: str) -> BadEvent:
    if not order_id:
        return BadEvent("is empty", "order_id")
    return BadEvent(f"{order_id!r} is not among the readable rows of {ORDERS}", "order_id")


@lru_cache(maxsize=65_536)
def _same(text: str, column: str) -> str:
    """One string for equal texts: 50,000 items need not hold 50,000 copies. Raises BadEvent if empty."""
    if not text:
        raise BadEvent("is empty", column)
    return text


@lru_cache(maxsize=256)
def _state(text: str, column: str) -> str:
    """A state, or "" where the source has none. Raises BadEvent for what is too long to name a segment."""
    if len(text) > _LONGEST_KEY:
        raise BadEvent(f"is longer than {_LONGEST_KEY} characters", column)
    return text


def _time(text: str, column: str) -> datetime:
    """The local time of a cell, with its offset as a fixed one. Raises BadEvent.

    Brazil's clocks went forward at midnight, so 00:30 of such a day never was: it is read as if they had not.
    """
    # 225,000 of these make a third of the reading: hence one function, and `combine` rather than `replace`.
    try:
        moment = datetime.fromisoformat(text)
    except ValueError:
        raise _no_time(text, column) from None
    if len(text) not in (10, 19) or text[7] != "-" or moment.tzinfo is not None:
        raise _no_time(text, column)
    if not 1970 < moment.year < 2199:
        raise BadEvent(f"the year {moment.year} is out of range (1971 to 2198)", column)
    return datetime.combine(moment, moment.time(), _fixed(_ZONE.utcoffset(moment)))


def _no_time(text: str, column: str) -> BadEvent:
    return BadEvent(f"{text!r} is not a time like 2017-05-12 14:30:00", column)


@lru_cache(maxsize=8_192)
def _day(text: str, column: str) -> date:
    """The day of a cell that means a day, with or without a time. Raises BadEvent."""
    return _time(text, column).date()


@lru_cache(maxsize=8_192)
def _end_of_day(day: date) -> datetime:
    """The last instant of that day in the source's zone."""
    end = datetime.combine(day, time.max, _ZONE)
    return datetime.combine(day, time.max, _fixed(end.utcoffset()))


@lru_cache(maxsize=16)
def _fixed(offset: timedelta) -> timezone:
    """A fixed offset: times of one named zone would compare by their clocks alone."""
    return timezone(offset)


def _last_seen(order: _Order) -> date:
    """The day by whose end an answer that lost all its times had come: of delivery, else of the promise.

    Without either it is the day of the purchase, so that no answer is dropped.
    """
    return order.delivered.date() if order.delivered else order.promised or order.purchased.date()
