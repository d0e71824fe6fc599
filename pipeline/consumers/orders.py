"""What happens when an order completes, is corrected or is promised anew."""

from datetime import datetime

from pipeline.consumers import asking, comparing, timers
from pipeline.domain.events.contract import Event
from pipeline.store.unit_of_work import UnitOfWork


def completed(event: Event, work: UnitOfWork, now: datetime) -> None:
    """`order.completed`: a new order, or a later word about a known one."""
    order = work.orders.get(event.data.order_id)
    facts, dialogue = order.facts, order.dialogue
    first_word = not facts.known
    before = None if first_word else facts.whereabouts()
    facts.complete(event)
    if dialogue.placed and dialogue.placed_in is None and before != facts.whereabouts():
        dialogue.placed_in = before  # moving an order takes no pair away from where it was counted
    comparing.record_claim(order, event, work, now)
    timers.watch_for_scan(order, work)
    asking.respect_opt_outs(order, work, now)  # the no may have been here before the order
    asking.ask_if_delivered(order, work, now)
    if first_word:
        comparing.compare(order, work, now)  # its answer may have been here before it


def repromised(event: Event, work: UnitOfWork, now: datetime) -> None:
    """`order.repromised`: the promise was moved; the first one stays what it is."""
    order = work.orders.get(event.data.order_id)
    order.facts.repromise(event)
    comparing.record_claim(order, event, work, now)
    timers.watch_for_scan(order, work)
