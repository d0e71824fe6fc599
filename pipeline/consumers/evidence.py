"""What happens when a pair is compared: the evidence of its segments grows, and alerts open, escalate and resolve.

In embedded mode one event updates all segments. In cluster mode the fleet and each segment are updated separately, each
by one worker at a time.
"""

from collections.abc import Iterator
from datetime import date, datetime

from pipeline.consumers import incidents
from pipeline.domain.detection import alerting, baseline, detector, publication
from pipeline.domain.detection.pairs import EXPERIENCE, NO_QUESTION, SIGNS, SILENCES, UNDELIVERED
from pipeline.domain.detection.segments import Segment, Series, segments_counted, segments_of
from pipeline.domain.events.contract import (
    AlertRaised,
    EmbellishmentObserved,
    Event,
    FulfilmentCompared,
    Observation,
    SilenceObserved,
)
from pipeline.store.evidence import alerts
from pipeline.store.evidence.evidence import WINDOW_DAYS, Baseline
from pipeline.store.orders.timers import Timer
from pipeline.store.unit_of_work import UnitOfWork

LEVEL_DAY = "level_day"
Counted = FulfilmentCompared | EmbellishmentObserved | SilenceObserved
DIFFERING = (EXPERIENCE, *SIGNS, *SILENCES)  # signals whose honest rate differs between segments
FADED_DAYS = 365  # after so many days a day weighs nothing in the fleet's present state (less than 1e-16)


def compared(event: Event, work: UnitOfWork, now: datetime) -> None:
    """`fulfilment.compared`: count the pair in the fleet and in every segment of its order."""
    data: FulfilmentCompared = event.data
    count_fleet(data, work, now)
    for segment in segments_of(data.dimensions, work.setup.levels):
        count_segment(segment, data, work, now)


def observed(event: Event, work: UnitOfWork, now: datetime) -> None:
    """`embellishment.observed`, `silence.observed`: count them in every segment of their order, or of their message."""
    data: EmbellishmentObserved | SilenceObserved = event.data
    count_fleet(data, work, now)
    for segment in segments_counted(data.dimensions, work.setup.levels):
        count_segment(segment, data, work, now)


def count_fleet(data: Counted, work: UnitOfWork, now: datetime) -> None:
    """Count the pair in the fleet's sums, from which the baselines of later months are estimated."""
    for signal, observation in data.observations.items():
        if signal in SIGNS:  # their baselines follow from the other segments
            continue
        _baseline(signal, now, work)  # of this month, from the sums before this pair
        work.evidence.count_fleet(signal, observation.day, observation.x, observation.previous)


def count_segment(segment: Segment, data: Counted, work: UnitOfWork, now: datetime) -> None:
    """Count the pair in the evidence of one segment, and publish what changes about its alert."""
    for series, transition in fold_pair(segment, data, work, now):
        _publish_transition(series, transition, work, now)


def fold_pair(
    segment: Segment, data: Counted, work: UnitOfWork, now: datetime
) -> Iterator[tuple[Series, alerting.Transition]]:
    """Count the pair in the evidence of one segment. Yields the changes of its alerts, for the caller to publish."""
    for signal, observation in data.observations.items():
        series = Series(*segment, signal)
        threshold = work.setup.thresholds[series.dimension]
        entered = work.evidence.enter(series, observation.day, threshold)
        if entered is not None:
            yield series, entered
        if signal in DIFFERING:
            work.spreads.count(series, observation.day, observation.x, observation.previous)
        transition = None
        if observation.previous is not None:
            transition = _amend(series, observation, data, work, now)
        elif (delta := _null(series, observation.day, now, work)) is not None:
            pair = alerting.Pair(observation.day, observation.x, delta, data.account_id, data.order_id)
            transition = _count(series, pair, work, now)
        if transition is not None:
            yield series, transition


def handle_level_day(timer: Timer, work: UnitOfWork, now: datetime) -> None:
    """The first day of a change of levels has begun: judge the segments whose threshold falls with it."""
    day = timer.due_at.toordinal()
    for level, threshold in work.setup.thresholds.items():
        if threshold.falls(day - 1, day):
            for series in work.evidence.lock_level(level):
                entered = work.evidence.enter(series, day, threshold)
                if entered is not None:
                    _publish_transition(series, entered, work, now)
                elif work.evidence.state(series).alert is None:
                    _end_alert(series, work, now)


def _count(series: Series, pair: alerting.Pair, work: UnitOfWork, now: datetime) -> alerting.Transition | None:
    """Count a new pair, unless its account has reached the day's cap.

    In a cluster a pair may arrive that was counted when its level was added.
    """
    counted = work.evidence.counted(series, pair.account, pair.day)
    if pair.order in counted or not detector.may_count(len(counted)):
        return None
    state = work.evidence.append(series, pair, now)
    threshold = work.setup.thresholds[series.dimension].on(max(pair.day, state.last_day or pair.day))
    return alerting.observe(state, pair, threshold, *work.evidence.context(series, state.pairs + 1))


def _amend(
    series: Series, observation: Observation, data: Counted, work: UnitOfWork, now: datetime
) -> alerting.Transition | None:
    """Change a pair that was counted before: it keeps its position, its day and its baseline."""
    n = work.evidence.counted(series, data.account_id, observation.day).get(data.order_id)
    if n is None:  # it was not counted
        return None
    if work.evidence.state(series).alert is not None:
        incidents.pair_amended(series.signal, work, now)
    threshold = work.setup.thresholds[series.dimension]
    return work.evidence.amend(series, n, observation.day, observation.x, threshold, now.toordinal())


def _null(series: Series, day: int, now: datetime, work: UnitOfWork) -> float | None:
    """The baseline of one segment on a day; None: too few pairs to know it."""
    signal = series.signal
    if signal in SILENCES:
        return _null_of_silence(series, day, now, work)
    if signal in SIGNS:
        return _null_of_sign(series, now.date().replace(day=1), work)
    fleet = _baseline(signal, now, work).delta
    if signal != EXPERIENCE or fleet is None or day < work.setup.rules_since:
        return fleet
    spread = work.spreads.spread(signal, series.dimension, now.date().replace(day=1))
    return baseline.experience_null(fleet, spread.tau(series.value), _fleet_now(signal, day, fleet, work))


def _null_of_sign(series: Series, month: date, work: UnitOfWork) -> float | None:
    """The baseline of a way to embellish: the other segments' rate and their spread, frozen for the month."""
    spread = work.spreads.spread(series.signal, series.dimension, month)
    null = baseline.sign_null(*spread.others(series.value), spread.tau(series.value))
    if null is None or series.signal != NO_QUESTION:
        return null
    first = month.toordinal()
    contacts = work.spreads.contacts(
        series.dimension, month, lambda: work.orders.contacts(series.dimension, first - WINDOW_DAYS, first - 1)
    )
    return max(null, min(baseline.CEILING, contacts.explained(series.value)))


def _null_of_silence(series: Series, day: int, now: datetime, work: UnitOfWork) -> float | None:
    """The baseline of silence: the segment's own past and the other segments, as the fleet is doing now.

    Messages that do not arrive depend on no season; and often one route has most of them, so that what the fleet does
    now would hide what this route does.
    """
    signal, month = series.signal, now.date().replace(day=1)
    spread = work.spreads.spread(signal, series.dimension, month)
    factor = 1.0
    if signal != UNDELIVERED:
        mean = _baseline(signal, now, work).delta
        if mean is None:
            return None
        factor = _fleet_now(signal, day, mean, work)
    own, others = spread.own(series.value), spread.others(series.value)
    return baseline.silence_null(own, others, spread.tau(series.value), factor)


def _fleet_now(signal: str, day: int, mean: float, work: UnitOfWork) -> float:
    """How many times its mean the fleet's rate is on a day, from the days before it."""

    def estimate() -> float:
        days = work.evidence.fleet_days(signal, day - FADED_DAYS, day - 1)
        return baseline.fleet_now(mean, [(day - each, n, total) for each, n, total in days])

    return work.spreads.factor(signal, day, estimate)


def _baseline(signal: str, now: datetime, work: UnitOfWork) -> Baseline:
    """The baseline of this month, frozen at its first pair."""
    month = now.isoformat()[:7]
    frozen = work.evidence.baseline(signal, month)
    if frozen is None:
        frozen = work.evidence.freeze(signal, month, _estimate(signal, now.date().replace(day=1), work))
    return frozen


def _estimate(signal: str, month: date, work: UnitOfWork) -> Baseline:
    """The baseline from the fleet's 90 days before the month (docs/statistics.md, "The baseline")."""
    n, total = work.evidence.fleet(signal, month)
    if signal == EXPERIENCE or signal in SILENCES:
        return Baseline(n, None, baseline.experience_baseline(n, total))
    last = month.toordinal() - 1
    counts = work.orders.fleet(last - WINDOW_DAYS + 1, last)
    late_asked, late_answered = counts.get("asked:late", 0), counts.get("answered:late", 0)
    other_asked, other_answered = counts.get("asked:on_time", 0), counts.get("answered:on_time", 0)
    rho = baseline.rho(baseline.response_ratio(late_asked, late_answered, other_asked, other_answered))
    return Baseline(n, rho, baseline.delta_on_responders(baseline.DELTA0, rho))


def _publish_transition(series: Series, transition: alerting.Transition, work: UnitOfWork, now: datetime) -> None:
    """Publish a change of an alert as an event, and store the alert as published."""
    published = alerts.read_open(work.connection, series)
    state, run = work.evidence.current_run(series)
    alert = publication.alert_event(series, transition, published, state, run)
    if alert is None:
        return
    event_id = ":".join(filter(None, [alert.alert_id, transition.what, alert.kind, alert.severity]))
    work.emit(f"alert.{transition.what}", event_id, now, alert)
    alerts.store(work.connection, alert, now if isinstance(published, int) else published.opened_at, now)
    incidents.alert_changed(series.signal, work, now)


def _end_alert(series: Series, work: UnitOfWork, now: datetime) -> None:
    """Resolve an open alert that the evidence has no more: it ended while its level was removed."""
    published = alerts.read_open(work.connection, series)
    if isinstance(published, int):
        return
    alert = AlertRaised(
        published.alert_id,
        series.signal,
        series.dimension,
        series.value,
        published.kind,
        "resolved",
        published.severity,
        published.evidence,
    )
    work.emit("alert.resolved", f"{alert.alert_id}:resolved", now, alert)
    alerts.store(work.connection, alert, published.opened_at, now)
    incidents.alert_changed(series.signal, work, now)
