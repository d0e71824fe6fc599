"""Watches the sources of events: one that has been silent for longer than its own past explains opens an alert.

A timer looks at each source when its silence could become implausible, and at once when a silent one sends again.
"""

import logging
import math
from datetime import datetime, timedelta
from typing import Any, Literal

from sqlalchemy import Connection

from pipeline.consumers import incidents
from pipeline.domain.detection.alert_ids import alert_id
from pipeline.domain.detection.alerting import Severity
from pipeline.domain.detection.intervals import rate_interval
from pipeline.domain.detection.pairs import SOURCE_SILENT
from pipeline.domain.detection.segments import Series
from pipeline.domain.detection.source_silence import MAX_SOURCES, SLOT, Silence, silence_of, slot_of, start_of
from pipeline.domain.events.contract import OWN_SOURCE, AlertRaised, Event
from pipeline.store.evidence import alerts
from pipeline.store.evidence.sources import AWAKE, SourceStore
from pipeline.store.orders.timers import Timer
from pipeline.store.unit_of_work import UnitOfWork

SOURCE = "source"
"""Kind of the timer that looks at a source; its subject is the source."""
DIMENSION = "source"
_FIRST_LOOK = timedelta(days=28)
_LOOK_AGAIN = timedelta(hours=1)  # the earliest: the time in which nothing ran is no silence
_log = logging.getLogger(__name__)


def note(event: Event, work: UnitOfWork) -> None:
    """Note that a source sent an event. Ours, and those of a replayed past, are not watched."""
    if event.historic or event.source.partition("/")[0] == OWN_SOURCE:
        return
    at = event.received_at
    work.sources.note(AWAKE, at)
    if not work.sources.note(event.source, at):
        return
    watched = work.sources.watched(event.source)
    if watched is None:
        if work.sources.watch(event.source, at):
            work.timers.set(SOURCE, "", event.source, at + _FIRST_LOOK)
        else:
            _log.warning("%d sources of events are watched: no further one is", MAX_SOURCES)
    elif watched.silent:
        work.timers.set(SOURCE, "", event.source, at)


def note_running(connection: Connection, now: datetime) -> None:
    """Note that this installation is running: in the time in which it is not, no source is silent."""
    running = SourceStore(connection)
    running.note(AWAKE, now)
    running.flush()


def handle_source(timer: Timer, work: UnitOfWork, now: datetime) -> None:
    """Look at a source: is its silence implausible, or over?"""
    source = timer.subject
    watched = work.sources.watched(source)
    sent = work.sources.past(source, now)
    if watched is None or not sent:
        return
    gaps = work.sources.reported(source, now)
    found = silence_of(sent, work.sources.past(AWAKE, now), gaps, watched.first_slot, slot_of(now))
    if found.is_implausible:
        _publish(source, "critical" if found.is_long else "major", found, work, now)
    elif watched.silent:
        _publish(source, None, found, work, now)
    if found.is_implausible != watched.silent:
        work.sources.set_silent(source, found.is_implausible)
    if not found.is_long:  # then its next event has it looked at
        work.timers.set(SOURCE, "", source, now + _until_next_look(found))


def _until_next_look(found: Silence) -> timedelta:
    if found.limit is None:
        return _FIRST_LOOK / 4
    limit = 2 * found.limit if found.is_implausible else found.limit
    return max(_LOOK_AGAIN, (limit - found.slots) * SLOT)


def _publish(source: str, severity: Severity | None, found: Silence, work: UnitOfWork, now: datetime) -> None:
    """Open or escalate the source's alert; without a severity, resolve it."""
    series = Series(DIMENSION, source, SOURCE_SILENT)
    published = alerts.read_open(work.connection, series)
    if isinstance(published, int):
        if severity is not None:
            _emit("opened", _alert(alert_id(series, published + 1), source, severity, _figures(found)), now, work, now)
    elif severity is None:
        resolved = _alert(published.alert_id, source, published.severity, published.evidence, "resolved")
        _emit("resolved", resolved, published.opened_at, work, now)
    elif severity != published.severity:
        escalated = _alert(published.alert_id, source, severity, _figures(found))
        _emit("escalated", escalated, published.opened_at, work, now)


def _alert(
    alert_id: str,
    source: str,
    severity: Severity | None,
    evidence: dict[str, Any],
    state: Literal["open", "resolved"] = "open",
) -> AlertRaised:
    return AlertRaised(alert_id, SOURCE_SILENT, DIMENSION, source, "divergence", state, severity, evidence)


def _emit(what: str, alert: AlertRaised, opened_at: datetime, work: UnitOfWork, now: datetime) -> None:
    work.emit(f"alert.{what}", f"{alert.alert_id}:{what}:{alert.severity}", now, alert)
    alerts.store(work.connection, alert, opened_at, now)
    incidents.alert_changed(SOURCE_SILENT, work, now)


def _figures(found: Silence) -> dict[str, Any]:
    """The figures of an alert: of the quarters of an hour since the last event, all are without one."""
    low, high = rate_interval(float(found.slots), found.slots)
    return {
        "pairs_before": 0,
        "since": start_of(found.last_slot).date().isoformat(),
        "run_n": found.slots,
        "run_rate": 1.0,
        "null": found.usual,
        "low": low,
        "high": high,
        "log10_e": math.log10(found.past_days),
        "accounts": 0,
        "breakdown_rho": None,
        "orders": [],
    }
