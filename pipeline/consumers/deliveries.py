"""What happens when a delivery is scanned."""

from datetime import datetime

from pipeline.consumers import asking, comparing, timers
from pipeline.domain.events.contract import Event
from pipeline.store.unit_of_work import UnitOfWork


def updated(event: Event, work: UnitOfWork, now: datetime) -> None:
    """`delivery.updated`: one scan; the last one of an order's shipments is the moment to ask."""
    order = work.orders.get(event.data.order_id)
    order.facts.scan(event)
    comparing.record_claim(order, event, work, now)
    timers.watch_for_scan(order, work)
    asking.ask_if_delivered(order, work, now)
