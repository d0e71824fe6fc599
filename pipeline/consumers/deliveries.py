"""What happens when a delivery is scanned, and when a scan is retracted."""

from datetime import datetime

from pipeline.consumers import tracking
from pipeline.consumers.order_changes import follow
from pipeline.domain.events.contract import Event
from pipeline.store.unit_of_work import UnitOfWork


def updated(event: Event, work: UnitOfWork, now: datetime) -> None:
    """`delivery.updated`: one scan. After the last one of an order's shipments the customer is asked."""
    for order in tracking.orders_of(event, work):
        order.facts.apply_scan(event)
        if event.data.order_id is not None:
            tracking.register_numbers(order, event, work, now)
        follow(order, event, work, now)


def retracted(event: Event, work: UnitOfWork, now: datetime) -> None:
    """`delivery.retracted`: a scan was sent by mistake. The claim follows; what was asked stays asked."""
    for order in tracking.orders_of(event, work):
        order.facts.apply_retracted(event)
        follow(order, event, work, now)
