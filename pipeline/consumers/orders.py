"""What happens when an order completes, is cancelled, and when its promise is moved."""

from datetime import datetime

from pipeline.consumers import asking, comparing, missing_scans, tracking
from pipeline.consumers.order_changes import follow
from pipeline.domain.events.contract import Event
from pipeline.store.unit_of_work import UnitOfWork


def completed(event: Event, work: UnitOfWork, now: datetime) -> None:
    """`order.completed`: a new order, or a correction of a known one."""
    order = work.orders.get(event.data.order_id)
    facts, dialogue = order.facts, order.dialogue
    is_new = not facts.known
    before = None if is_new else facts.attribution()
    facts.apply_completed(event)
    tracking.register_numbers(order, event, work, now)
    if dialogue.pairs and dialogue.pairs_attribution is None and before != facts.attribution():
        dialogue.pairs_attribution = before  # pairs stay counted in the segments of the order before it was moved
    comparing.record_claim(order, event, work, now)
    missing_scans.watch_for_scan(order, work)
    asking.respect_opt_outs(order, work, now)  # an opt-out may have arrived before the order
    asking.ask_if_delivered(order, work, now)
    if is_new:
        comparing.compare(order, work, now)  # its answer may have arrived before the order
    comparing.observe_signs(order, work, now)


def cancelled(event: Event, work: UnitOfWork, now: datetime) -> None:
    """`order.cancelled`: nothing more is to be delivered, or not all of it. A delivery that is reported counts."""
    order = work.orders.get(event.data.order_id)
    order.facts.apply_cancelled(event)
    follow(order, event, work, now)


def repromised(event: Event, work: UnitOfWork, now: datetime) -> None:
    """`order.repromised`: the promise was moved. The first promise stays what it is."""
    order = work.orders.get(event.data.order_id)
    order.facts.apply_repromised(event)
    comparing.record_claim(order, event, work, now)
    missing_scans.watch_for_scan(order, work)
    comparing.observe_signs(order, work, now)
