"""What happens when something did not happen: a delivery nobody scanned, a question nobody answered."""

from datetime import datetime

from pipeline.consumers import asking
from pipeline.domain.orders.order import Order
from pipeline.store.orders.timers import Timer
from pipeline.store.unit_of_work import UnitOfWork

MISSING_SCAN = "missing_scan"


def watch_for_scan(order: Order, work: UnitOfWork) -> None:
    """Ask after the first promise has passed, unless a delivery is reported: never closing an order is no way out.

    The first promise, because moving it on and on would be one.
    """
    facts = order.facts
    if not facts.known or facts.first_promise is None:
        return
    if order.dialogue.claim.delivered_at is not None:
        work.timers.cancel(MISSING_SCAN, order.order_id, "")
    elif not order.dialogue.probed:
        due_at = facts.first_promise + work.setup.policy.probe_after
        work.timers.set(MISSING_SCAN, order.order_id, "", due_at)


def missing_scan(timer: Timer, work: UnitOfWork, now: datetime) -> None:
    """The promise has passed and nothing arrived by the record: ask whether it did."""
    order = work.orders.get(timer.order_id)
    order.dialogue.probed = True
    if order.dialogue.claim.delivered_at is None:
        asking.ask(order, "missing_scan", work, now)


def expired(timer: Timer, work: UnitOfWork, now: datetime) -> None:
    """Nobody answered in time. An answer that comes later still counts."""
    purpose, _, contact_id = timer.subject.partition(":")
    work.set_ask_state(timer.order_id, contact_id, purpose, asking.EXPIRED)
