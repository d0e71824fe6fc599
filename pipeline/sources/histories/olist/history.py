"""The history of the Brazilian marketplace Olist, a public dataset of five CSV files, as events.

Rows that cannot be used come first, as dead letters, because they have no time. Then every event follows in the order
of time. A row is used as a whole or not at all: its error names file, line and column, and the other rows are used. A
row with NUL characters or invalid UTF-8 becomes a dead letter with its original bytes. Other columns than those named
below are ignored.
"""

from collections.abc import Iterator
from datetime import date
from pathlib import Path

from msgspec.json import Encoder

from pipeline.domain.events.contract import BadEvent
from pipeline.sources import Incoming
from pipeline.sources.histories.csv_table import RowHandler, Table
from pipeline.sources.histories.olist.cells import (
    check_key,
    check_new,
    end_of_day,
    interned,
    parse_day,
    parse_state,
    parse_time,
)
from pipeline.sources.histories.olist.events import (
    COMPLETED,
    DELIVERED,
    DISPATCHED,
    RECEIVED,
    REQUESTED,
    RETURNED,
    TOPICS,
    HistoricEvent,
    Order,
    Review,
    completed_event,
    delivery_event,
    received_event,
    requested_event,
)

LEVELS = "region:27,origin:27,consolidation:27"

ORDERS = "olist_orders_dataset.csv"
ITEMS = "olist_order_items_dataset.csv"
REVIEWS = "olist_order_reviews_dataset.csv"
CUSTOMERS = "olist_customers_dataset.csv"
SELLERS = "olist_sellers_dataset.csv"

_encode = Encoder().encode
_MAX_COMMENT = 8_000  # characters

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

# Sort key of an event: its time (a timestamp compares faster than a time with offset), kind, order and review. The
# event itself is built when it is due.
_Entry = tuple[float, int, str, str]


class OlistHistory:
    """The history in a folder of five CSV files, plain or .gz, under their original names."""

    def __init__(self, path: Path) -> None:
        """Read all five files. Raises UnreadableSource if a file or a column is missing."""
        self._faults: list[Incoming] = []
        orders = Table(path, ORDERS, _ORDER_COLUMNS)
        items = Table(path, ITEMS, ("order_id", "order_item_id", "product_id", "seller_id"))
        reviews = Table(path, REVIEWS, _REVIEW_COLUMNS)
        customers = Table(path, CUSTOMERS, ("customer_id", "customer_unique_id", "customer_state"))
        sellers = Table(path, SELLERS, ("seller_id", "seller_state"))
        self._customers: dict[str, tuple[str, str]] = {}
        self._states: dict[str, str] = {}
        self._orders: dict[str, Order] = {}
        # Per order and item number: product, seller.
        self._items: dict[str, dict[int, tuple[str, str]]] = {}
        self._reviews: dict[tuple[str, str], Review] = {}
        self._read(customers, "orders", self._customer)
        self._read(sellers, "orders", self._seller)
        self._read(orders, "orders", self._order)
        self._read(items, "orders", self._item)
        self._read(reviews, "feedback", self._review)
        self._customers.clear()
        self._entries = sorted(self._timeline())

    def __len__(self) -> int:
        """The number of events, dead letters included."""
        return len(self._faults) + len(self._entries)

    def __iter__(self) -> Iterator[Incoming]:
        """Yield the dead letters, then the events in the order of their time."""
        yield from self._faults
        for _, kind, order_id, review_id in self._entries:
            if kind < REQUESTED:
                order = self._orders[order_id]
                event = self._completed(order) if kind == COMPLETED else delivery_event(order, kind)
                yield Incoming(_encode(event), TOPICS[kind], f"{ORDERS}:{order.line}")
            else:
                review = self._reviews[review_id, order_id]
                event = requested_event(review) if kind == REQUESTED else received_event(review)
                yield Incoming(_encode(event), TOPICS[kind], f"{REVIEWS}:{review.line}")

    # Reading: each method stores the values of a row, or raises BadEvent that names the column.

    def _read(self, table: Table, topic: str, handle: RowHandler) -> None:
        """Pass every row of a table to `handle`. Rows that cannot be used become dead letters of `topic`."""
        for line, raw, fault in table.read(handle):
            self._faults.append(Incoming(raw, topic, f"{table.name}:{line}", fault))

    def _customer(self, values: tuple[str, ...], line: int) -> None:
        customer_id, account, state = values
        check_new(customer_id, "customer_id", self._customers)
        check_key(account, "customer_unique_id")
        self._customers[customer_id] = (account, parse_state(state, "customer_state"))

    def _seller(self, values: tuple[str, ...], line: int) -> None:
        seller_id, state = values
        check_new(seller_id, "seller_id", self._states)
        self._states[seller_id] = parse_state(state, "seller_state")

    def _order(self, values: tuple[str, ...], line: int) -> None:
        order_id, customer_id, status, purchase, approval, handover, arrival, estimate = values
        check_new(order_id, "order_id", self._orders)
        customer = self._customers.get(customer_id)
        if customer is None:
            check_key(customer_id, "customer_id")
            raise BadEvent(f"is not among the readable rows of {CUSTOMERS}", "customer_id", customer_id)
        if not purchase:
            raise BadEvent("is empty", "order_purchase_timestamp")
        purchased = parse_time(purchase, "order_purchase_timestamp")
        approved = parse_time(approval, "order_approved_at") if approval else None
        carrier = parse_time(handover, "order_delivered_carrier_date") if handover else None
        delivered = parse_time(arrival, "order_delivered_customer_date") if arrival else None
        promised = parse_day(estimate, "order_estimated_delivery_date") if estimate else None
        completed = carrier or approved or purchased
        self._orders[order_id] = Order(
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
            raise BadEvent("is not a whole number", "order_item_id", number)
        items = self._items.setdefault(order_id, {})
        if int(number) in items:
            raise BadEvent("was seen twice in this order", "order_item_id", number)
        items[int(number)] = interned(product, "product_id"), interned(seller, "seller_id")

    def _review(self, values: tuple[str, ...], line: int) -> None:
        review_id, order_id, score, title, message, creation, answer = values
        order = self._orders.get(order_id)
        if order is None:
            raise _unknown_order(order_id)
        check_key(review_id, "review_id")
        if (review_id, order_id) in self._reviews:
            raise BadEvent("was seen twice for this order", "review_id", review_id)
        if score not in _SCORES:
            raise BadEvent("is not a score from 1 to 5", "review_score", score)
        comment = f"{title}\n{message}" if title and message else title or message
        if len(comment) > _MAX_COMMENT:
            raise BadEvent(f"is longer than {_MAX_COMMENT} characters", "review_comment_message")
        created = parse_day(creation, "review_creation_date") if creation else None
        answered = parse_time(answer, "review_answer_timestamp") if answer else None
        received = answered or end_of_day(created or _last_known_day(order))
        asked = end_of_day(created) if created else received
        self._reviews[review_id, order_id] = Review(
            review_id, order_id, order.account, int(score), comment, asked, answered, received, line
        )

    # Writing: the events of the rows.

    def _timeline(self) -> Iterator[_Entry]:
        """Yield an entry for every event, unsorted."""
        for order in self._orders.values():
            yield order.completed.timestamp(), COMPLETED, order.order_id, ""
            if order.carrier is not None:
                yield order.carrier.timestamp(), DISPATCHED, order.order_id, ""
            if order.delivered is not None:
                yield order.delivered.timestamp(), DELIVERED, order.order_id, ""
                # The source says that the order was canceled although it arrived: it went back at once.
                if order.canceled:
                    yield order.delivered.timestamp(), RETURNED, order.order_id, ""
        for review in self._reviews.values():
            yield review.asked.timestamp(), REQUESTED, review.order_id, review.review_id
            yield review.received.timestamp(), RECEIVED, review.order_id, review.review_id

    def _completed(self, order: Order) -> HistoricEvent:
        items = [item for _, item in sorted(self._items.get(order.order_id, {}).items())]
        return completed_event(order, items, self._states)


def _unknown_order(order_id: str) -> BadEvent:
    if not order_id:
        return BadEvent("is empty", "order_id")
    return BadEvent(f"is not among the readable rows of {ORDERS}", "order_id", order_id)


def _last_known_day(order: Order) -> date:
    """The day assumed for an answer without any time: of the delivery, else the promise, else the purchase."""
    return order.delivered.date() if order.delivered else order.promised or order.purchased.date()
