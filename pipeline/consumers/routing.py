"""Which processor handles which event: the whole list."""

from collections.abc import Callable, Mapping
from datetime import datetime

from pipeline.consumers import asking, deliveries, evidence, feedback, orders, timers
from pipeline.domain.events.contract import Event
from pipeline.store.orders.timers import Timer
from pipeline.store.unit_of_work import UnitOfWork

Processor = Callable[[Event, UnitOfWork, datetime], None]

PROCESSORS: Mapping[str, Processor] = {
    "order.completed": orders.completed,
    "order.repromised": orders.repromised,
    "delivery.updated": deliveries.updated,
    "feedback.requested": feedback.requested,
    "feedback.received": feedback.received,
    "fulfilment.compared": evidence.compared,
}

TIMERS: Mapping[str, Callable[[Timer, UnitOfWork, datetime], None]] = {
    timers.MISSING_SCAN: timers.missing_scan,
    asking.EXPIRY: timers.expired,
    asking.REMINDER: asking.remind,
    asking.LOST: asking.lost,
}
