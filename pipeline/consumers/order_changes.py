"""What follows whenever the facts of an order change: the claim, the watch for a missing scan, the question."""

from datetime import datetime

from pipeline.consumers import asking, comparing, missing_scans
from pipeline.domain.events.contract import Event
from pipeline.domain.orders.order import Order
from pipeline.store.unit_of_work import UnitOfWork


def follow(order: Order, event: Event, work: UnitOfWork, now: datetime) -> None:
    """Draw the conclusions from changed facts. `event` changed them."""
    comparing.record_claim(order, event, work, now)
    missing_scans.watch_for_scan(order, work)
    asking.ask_if_delivered(order, work, now)
    comparing.observe_signs(order, work, now)
