"""Which processor handles which event and which timer: the whole list."""

from collections.abc import Callable, Mapping
from datetime import datetime

from pipeline.consumers import asking, deliveries, evidence, feedback, incidents, missing_scans, orders, tracking
from pipeline.consumers.cases import following_up, opening, recording
from pipeline.consumers.silence import orders as silence
from pipeline.consumers.silence import sources
from pipeline.domain.events.contract import Event
from pipeline.store.orders.timers import Timer
from pipeline.store.orders.tracking import TRACKED_EVENT
from pipeline.store.unit_of_work import UnitOfWork

Processor = Callable[[Event, UnitOfWork, datetime], None]

PROCESSORS: Mapping[str, Processor] = {
    "order.completed": orders.completed,
    "order.repromised": orders.repromised,
    "order.cancelled": orders.cancelled,
    "delivery.updated": deliveries.updated,
    "delivery.retracted": deliveries.retracted,
    "feedback.requested": feedback.requested,
    "feedback.received": feedback.received,
    "feedback.corrected": feedback.corrected,
    "fulfilment.compared": evidence.compared,
    "embellishment.observed": evidence.observed,
    "silence.observed": evidence.observed,
}

TIMERS: Mapping[str, Callable[[Timer, UnitOfWork, datetime], None]] = {
    missing_scans.MISSING_SCAN: missing_scans.handle_missing_scan,
    asking.EXPIRY: asking.handle_expiry,
    asking.REMINDER: asking.handle_reminder,
    asking.LOST: following_up.handle_lost,
    evidence.LEVEL_DAY: evidence.handle_level_day,
    TRACKED_EVENT: tracking.handle_tracked_event,
    incidents.REGROUP: incidents.handle_regroup,
    incidents.SNOOZE_END: incidents.handle_snooze_end,
    recording.CASE_DUE: opening.handle_due,
    recording.CASE_ASK: following_up.handle_ask,
    silence.SILENCE: silence.handle_silence,
    sources.SOURCE: sources.handle_source,
}
