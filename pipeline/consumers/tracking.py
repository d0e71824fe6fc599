"""Joins carriers' events, which know a tracking number and no order, with the orders that have this number.

Such an event is kept for a time: its order may come later, and another order may share the number. If no order has
come by then, the event is a dead letter. A number of very many orders is a placeholder and joins nothing.
"""

from datetime import datetime

from pipeline.consumers.order_changes import follow
from pipeline.domain.events.contract import DeliveryUpdated, Event
from pipeline.domain.events.tracking import normal_number, numbers_in
from pipeline.domain.orders.facts import Facts, NumberUse
from pipeline.domain.orders.order import Order
from pipeline.domain.orders.parcels import (
    MOST_WAITING,
    TOO_COMMON,
    TOO_MANY,
    UNCLAIMED,
    WAIT_FOR_ORDER,
    counts,
    numbers_of,
)
from pipeline.store.orders.timers import Timer
from pipeline.store.orders.tracking import TRACKED_EVENT
from pipeline.store.unit_of_work import UnitOfWork


def orders_of(event: Event, work: UnitOfWork) -> list[Order]:
    """The orders that a delivery event is about: the one it names, or those that have its tracking number so far."""
    if event.data.order_id is not None:
        return [work.orders.get(event.data.order_id)]
    number = normal_number(event.data.tracking_number)
    order_ids = sorted(work.tracking.orders_of(number))
    if work.tracking.is_common(number):
        work.unclaimed.append((event, TOO_COMMON))
    elif len(work.tracking.events_of(number)) < MOST_WAITING:
        work.tracking.keep(number, event)
        _set_timer(number, work)
    elif not order_ids:
        work.unclaimed.append((event, TOO_MANY))
    return [work.orders.get(order_id) for order_id in order_ids]


def register_numbers(order: Order, event: Event, work: UnitOfWork, now: datetime) -> None:
    """Note the tracking numbers that an event gives its order, and apply what carriers have reported about them.

    Other orders with one of the numbers are informed: it may be used again, for another parcel.
    """
    known = numbers_of(order.facts)
    for number in sorted(numbers_in(event.data)):
        others = dict(work.tracking.orders_of(number))
        if work.tracking.is_common(number) or others.pop(order.order_id, None) == known[number]:
            continue
        work.tracking.register(number, order.order_id, known[number])
        if work.tracking.is_common(number):
            continue
        for other_id, since in sorted(others.items()):
            order.facts.apply_number_use(NumberUse(number, other_id, since))
            other = work.orders.get(other_id)
            if other.facts.apply_number_use(NumberUse(number, order.order_id, known[number])):
                follow(other, event, work, now)
        for kept in work.tracking.events_of(number):
            if not order.facts.has_event(kept.source, kept.id):
                apply(order.facts, kept)


def apply(facts: Facts, event: Event) -> None:
    """Apply a delivery event to the facts of an order."""
    if isinstance(event.data, DeliveryUpdated):
        facts.apply_scan(event)
    else:
        facts.apply_retracted(event)


def handle_tracked_event(timer: Timer, work: UnitOfWork, now: datetime) -> None:
    """The time for which events with a tracking number wait is over: those that belong to no order are dead letters."""
    number = timer.subject
    for event in list(work.tracking.events_of(number)):
        if event.received_at + WAIT_FOR_ORDER <= timer.due_at:
            work.tracking.drop(number, event)
            if work.tracking.is_common(number):
                work.unclaimed.append((event, TOO_COMMON))
            elif not _has_order(number, event, work):
                work.unclaimed.append((event, UNCLAIMED))
    _set_timer(number, work)


def _has_order(number: str, event: Event, work: UnitOfWork) -> bool:
    order_ids = work.tracking.orders_of(number)
    if not isinstance(event.data, DeliveryUpdated):
        return bool(order_ids)
    work.orders.load(order_ids)
    return any(counts(work.orders.peek(order_id).facts, event.source, event.id) for order_id in order_ids)


def _set_timer(number: str, work: UnitOfWork) -> None:
    kept = work.tracking.events_of(number)
    if kept:
        first = min(event.received_at for event in kept)
        work.timers.set(TRACKED_EVENT, "", number, first + WAIT_FOR_ORDER)
