"""The events of an order and of its review, marked as historic."""

from collections.abc import Mapping
from datetime import date, datetime
from typing import Any, NamedTuple

from msgspec import UNSET, Struct, UnsetType

from pipeline.sources.histories.olist.cells import TIMEZONE

SOURCE = "olist"
_MAX_SKU = 100  # characters

# The kinds of event, in the order in which they follow each other at the same instant.
COMPLETED, DISPATCHED, DELIVERED, RETURNED, REQUESTED, RECEIVED = range(6)
TOPICS = ("orders", "deliveries", "deliveries", "deliveries", "feedback", "feedback")
_STATUS = {DISPATCHED: "dispatched", DELIVERED: "delivered", RETURNED: "returned"}


class Order(NamedTuple):
    """An order as read from its row. `line`: the number of that row."""

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


class Review(NamedTuple):
    """A customer's review as read from its row. `line`: the number of that row."""

    review_id: str
    order_id: str
    account: str
    score: int
    comment: str
    asked: datetime
    answered: datetime | None
    received: datetime
    line: int


class HistoricEvent(Struct, frozen=True):
    """A CloudEvent marked as historic, so that no question is sent. A Struct is encoded twice as fast as a dict."""

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


def completed_event(order: Order, items: list[tuple[str, str]], states: Mapping[str, str]) -> HistoricEvent:
    """`order.completed`: the order at the moment it left the seller.

    `items`: product and seller of each item, in their order. `states`: the state of each seller.
    """
    sellers = len({seller for _, seller in items})
    dimensions = {"region": order.region} if order.region else {}
    if items:
        origin = states.get(items[0][1])
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
    return HistoricEvent(f"{order.order_id}:completed", "order.completed", order.order_id, order.completed, data)


def _lines(items: list[tuple[str, str]]) -> list[dict[str, Any]]:
    """One line per product, without a delivered quantity: the source has none."""
    ordered: dict[str, int] = {}
    for product, _ in items:
        ordered[product] = ordered.get(product, 0) + 1
    return [{"sku": product[:_MAX_SKU], "ordered": number} for product, number in ordered.items()]


def delivery_event(order: Order, kind: int) -> HistoricEvent:
    """`delivery.updated` without a shipment: the source has one time per order, however many parcels it had."""
    at = order.carrier if kind == DISPATCHED else order.delivered
    assert at is not None  # noqa: S101 - the timeline has no scan without a time
    status = _STATUS[kind]
    return HistoricEvent(
        f"{order.order_id}:{status}",
        "delivery.updated",
        order.order_id,
        at,
        _Scan(order.order_id, status, at),
    )


def requested_event(review: Review) -> HistoricEvent:
    """`feedback.requested`, at the end of its day: the source knows only the day."""
    return HistoricEvent(
        f"{review.review_id}:{review.order_id}:requested",
        "feedback.requested",
        review.order_id,
        review.asked,
        _Request(review.order_id, review.account),
    )


def received_event(review: Review) -> HistoricEvent:
    """`feedback.received`. It may precede the request, which has the end of its day as its time."""
    score, comment = _Score(review.score), review.comment or UNSET
    return HistoricEvent(
        f"{review.review_id}:{review.order_id}:received",
        "feedback.received",
        review.order_id,
        review.received,
        _Answer(review.order_id, review.account, review.answered, score, comment),
    )
