"""What happens when a pair is told: the evidence of its segments grows, and alerts open, escalate and resolve.

One writer for every segment, in the order of receipt. The fleet's sums and each segment are counted by themselves, so
that several workers can have a part each.
"""

from datetime import date, datetime

import msgspec
from sqlalchemy import func, select

from pipeline.domain.detection import alerting, baseline, detector
from pipeline.domain.detection.intervals import breakdown_rho, rate_interval
from pipeline.domain.detection.pairs import EXPERIENCE
from pipeline.domain.detection.segments import Segment, segments_of
from pipeline.domain.events.contract import AlertRaised, Event, FulfilmentCompared, Observation
from pipeline.store.db.bulk import upsert
from pipeline.store.evidence.evidence import WINDOW_DAYS as WINDOW
from pipeline.store.evidence.evidence import Null, Series, series_of
from pipeline.store.schema.tables import alerts
from pipeline.store.unit_of_work import UnitOfWork

ORDERS_SHOWN = 20


def compared(event: Event, work: UnitOfWork, now: datetime) -> None:
    """`fulfilment.compared`: count the pair in every segment of its order, or change it where it stands."""
    data: FulfilmentCompared = event.data
    count_fleet(data, work, now)
    for segment in segments_of(data.dimensions, work.setup.levels):
        count_segment(segment, data, work, now)


def count_fleet(data: FulfilmentCompared, work: UnitOfWork, now: datetime) -> None:
    """The pair in the fleet's sums, from which the nulls of the months to come are made."""
    for signal, observation in data.observations.items():
        _null(signal, now, work)  # of this month, from what was there before
        work.evidence.count_fleet(signal, observation.day, observation.x, observation.previous)


def count_segment(segment: Segment, data: FulfilmentCompared, work: UnitOfWork, now: datetime) -> None:
    """The pair in one segment's evidence."""
    for signal, observation in data.observations.items():
        series = series_of(segment, signal)
        transition = _observe(series, observation, data, _null(signal, now, work), work, now)
        if transition is not None:
            _tell(series, transition, work, now)


def _observe(
    series: Series,
    observation: Observation,
    data: FulfilmentCompared,
    null: Null,
    work: UnitOfWork,
    now: datetime,
) -> alerting.Transition | None:
    threshold = work.setup.thresholds[series.dimension]
    counted = work.evidence.counted(series, data.account_id, observation.day)
    if observation.previous is not None:
        n = counted.get(data.order_id)
        if n is None:  # beyond the cap, or from before there was a null
            return None
        return work.evidence.amend(series, n, observation.day, observation.x, threshold)
    if null.delta is None or not detector.may_count(True, len(counted)):
        return None
    pair = alerting.Pair(observation.day, observation.x, null.delta, data.account_id, data.order_id)
    return work.evidence.append(series, pair, now, threshold)


def _null(signal: str, now: datetime, work: UnitOfWork) -> Null:
    """What counts as honest this month, frozen when its first pair comes."""
    month = now.isoformat()[:7]
    null = work.evidence.null(signal, month)
    if null is None:
        null = work.evidence.freeze(signal, month, _estimate(signal, now.date().replace(day=1), work))
    return null


def _estimate(signal: str, month: date, work: UnitOfWork) -> Null:
    """The null from the fleet's trailing 90 days before the month's start (DIVERGENCE.md, "The null")."""
    n, total = work.evidence.fleet(signal, month)
    if signal == EXPERIENCE:
        return Null(n, None, baseline.experience_null(n, total))
    last = month.toordinal() - 1
    counts = work.orders.fleet(last - WINDOW + 1, last)
    asked_late, asked = counts.get("asked:late", 0), counts.get("asked:on_time", 0)
    ratio = baseline.response_ratio(
        asked_late, counts.get("answered:late", 0), asked, counts.get("answered:on_time", 0)
    )
    rho = baseline.rho(ratio)
    return Null(n, rho, baseline.delta_on_responders(baseline.DELTA0, rho))


def _tell(series: Series, transition: alerting.Transition, work: UnitOfWork, now: datetime) -> None:
    """Make an alert's change an event like any other, and keep the alert as it stands now."""
    alert, resolved = transition.alert, transition.what == "resolved"
    known = work.connection.execute(
        select(alerts.c.alert_id, alerts.c.kind, alerts.c.severity, alerts.c.opened_at, alerts.c.evidence).where(
            alerts.c.dimension == series.dimension,
            alerts.c.value == series.value,
            alerts.c.signal == series.signal,
            alerts.c.state == "open",
        )
    ).one_or_none()
    kind, severity = alert.kind, alert.severity
    if known:  # an amendment may have made it lesser in silence
        before = (known.kind, known.severity)
        if not resolved and not alerting.graver(kind, severity, before):
            return  # it has only come back to what was told
        kind, severity = alerting.graver_of(kind, severity, before)
    alert_id = known.alert_id if known else _next_id(series, work)
    # What it rested on stays when it ends: by then the run is that of the recovery.
    evidence = msgspec.json.decode(known.evidence) if known and resolved else _evidence(series, alert, work)
    told = AlertRaised(
        alert_id,
        series.signal,
        series.dimension,
        series.value,
        kind,
        "resolved" if resolved else "open",
        severity,
        evidence,
    )
    event_id = ":".join(filter(None, [alert_id, transition.what, kind, severity]))
    work.emit(f"alert.{transition.what}", event_id, now, told)
    row = {
        "alert_id": alert_id,
        **series._asdict(),
        "kind": told.kind,
        "state": told.state,
        "severity": told.severity,
        "opened_at": known.opened_at if known else now,
        "changed_at": now,
        "resolved_at": now if resolved else None,
        "evidence": msgspec.json.encode(evidence).decode(),
    }
    upsert(work.connection, alerts, [row])


def _next_id(series: Series, work: UnitOfWork) -> str:
    """Signal, segment and a running number."""
    query = select(func.count()).where(
        alerts.c.dimension == series.dimension, alerts.c.value == series.value, alerts.c.signal == series.signal
    )
    earlier = work.connection.execute(query).scalar_one()
    return f"{series.signal}/{series.dimension}/{series.value}/{earlier + 1}"


def _evidence(series: Series, alert: alerting.OpenAlert, work: UnitOfWork) -> dict[str, object]:
    """What the alert rests on now, in figures, and who and what is behind its run."""
    state = work.evidence.state(series)
    run = state.detector.run
    if run is None:
        raise AssertionError("an alert rests on a run")
    behind = work.evidence.recent(series, state.pairs, run.n)
    denying = [pair for pair in behind if pair.x > 0]
    null = behind[-1].delta
    low, high = rate_interval(run.sum, run.n)
    return {
        "pairs_before": alert.opened_pair,
        "since": date.fromordinal(run.since).isoformat(),
        "run_n": run.n,
        "run_rate": run.rate,
        "null": null,
        "low": low,
        "high": high,
        "log10_e": state.detector.log10_evidence,
        "accounts": len({pair.account for pair in denying}),
        "breakdown_rho": breakdown_rho(low, null if series.signal == EXPERIENCE else baseline.DELTA0),
        "orders": [pair.order for pair in denying[-ORDERS_SHOWN:]],
    }
