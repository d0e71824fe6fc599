"""What happens when a pair is compared: the evidence of its segments grows, and alerts open, escalate and resolve.

In embedded mode one event updates all segments. In cluster mode the fleet and each segment are updated separately, each
by one worker at a time.
"""

from datetime import date, datetime

from pipeline.consumers import incidents
from pipeline.domain.detection import alerting, baseline, detector, publication
from pipeline.domain.detection.pairs import EXPERIENCE, NO_QUESTION, SIGNS
from pipeline.domain.detection.segments import Segment, Series, segments_of
from pipeline.domain.events.contract import EmbellishmentObserved, Event, FulfilmentCompared, Observation
from pipeline.store.evidence import alerts
from pipeline.store.evidence.evidence import WINDOW_DAYS, Baseline
from pipeline.store.unit_of_work import UnitOfWork

Counted = FulfilmentCompared | EmbellishmentObserved
DIFFERING = (EXPERIENCE, *SIGNS)  # signals whose honest rate differs between segments
FADED_DAYS = 365  # after so many days a day weighs nothing in the fleet's present state (less than 1e-16)


def compared(event: Event, work: UnitOfWork, now: datetime) -> None:
    """`fulfilment.compared`: count the pair in the fleet and in every segment of its order."""
    data: FulfilmentCompared = event.data
    count_fleet(data, work, now)
    for segment in segments_of(data.dimensions, work.setup.levels):
        count_segment(segment, data, work, now)


def observed(event: Event, work: UnitOfWork, now: datetime) -> None:
    """`embellishment.observed`: count the signs in every segment of their order."""
    data: EmbellishmentObserved = event.data
    for segment in segments_of(data.dimensions, work.setup.levels):
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
    for signal, observation in data.observations.items():
        series = Series(*segment, signal)
        if signal in DIFFERING:
            work.spreads.count(series, observation.day, observation.x, observation.previous)
        transition = None
        if observation.previous is not None:
            transition = _amend(series, observation, data, work, now)
        elif (delta := _null(series, observation.day, now, work)) is not None:
            pair = alerting.Pair(observation.day, observation.x, delta, data.account_id, data.order_id)
            transition = _count(series, pair, work, now)
        if transition is not None:
            _publish_transition(series, transition, work, now)


def _count(series: Series, pair: alerting.Pair, work: UnitOfWork, now: datetime) -> alerting.Transition | None:
    """Count a new pair, unless its account has reached the day's cap."""
    if not detector.may_count(len(work.evidence.counted(series, pair.account, pair.day))):
        return None
    state = work.evidence.append(series, pair, now)
    threshold = work.setup.thresholds[series.dimension]
    return work.evidence.observe(series, state, pair, threshold)


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
    return work.evidence.amend(series, n, observation.day, observation.x, threshold)


def _null(series: Series, day: int, now: datetime, work: UnitOfWork) -> float | None:
    """The baseline of one segment on a day; None: too few pairs to know it."""
    signal = series.signal
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
    if signal == EXPERIENCE:
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
