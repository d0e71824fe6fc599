"""What happens when a delivery is scanned."""

from datetime import datetime

from pipeline.consumers import asking, comparing, missing_scans
from pipeline.domain.events.contract import Event
from pipeline.store.unit_of_work import UnitOfWork


def updated(event: Event, work: UnitOfWork, now: datetime) -> None:
    """`delivery.updated`: one scan. After the last one of an order's shipments the customer is asked."""
    order = work.orders.get(event.data.order_id)
    order.facts.apply_scan(event)
    comparing.record_claim(order, event, work, now)
    missing_scans.watch_for_scan(order, work)
    asking.ask_if_delivered(order, work, now)
