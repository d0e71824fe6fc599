"""What is published when an alert changes: its identity, kind, severity, and the figures of its evidence."""

from collections.abc import Sequence
from datetime import date, datetime
from typing import Any, NamedTuple

from pipeline.domain.detection import alert_ids, alerting, baseline
from pipeline.domain.detection.alerting import Evidence, Kind, OpenAlert, Pair, Severity, Transition
from pipeline.domain.detection.intervals import breakdown_rho, rate_interval
from pipeline.domain.detection.pairs import EARLY, EXPERIENCE, MOVED, NO_QUESTION, SILENCES
from pipeline.domain.detection.segments import Series
from pipeline.domain.events.contract import AlertRaised

ORDERS_SHOWN = 20


class PublishedAlert(NamedTuple):
    """An open alert as it was published last."""

    alert_id: str
    kind: Kind
    severity: Severity | None
    opened_at: datetime
    evidence: dict[str, Any]


def alert_event(
    series: Series, transition: Transition, published: PublishedAlert | int, state: Evidence, run: Sequence[Pair]
) -> AlertRaised | None:
    """The event that publishes a change of an alert; None: nothing is new.

    `published`: the open alert, or if none is open the number of earlier ones. `run`: the pairs of the lead bet's run,
    oldest first.

    Kind and severity are never lower than what was published. An amendment can make an alert less severe, which is not
    published; when it becomes as severe again, there is nothing new.
    """
    alert, resolved = transition.alert, transition.what == "resolved"
    if isinstance(published, int):
        alert_id = alert_ids.alert_id(series, published + 1)
        kind, severity, evidence = alert.kind, alert.severity, figures(series.signal, alert, state, run)
    else:
        before = (published.kind, published.severity)
        if not resolved and not alerting.is_graver(alert.kind, alert.severity, before):
            return None
        alert_id = published.alert_id
        kind, severity = alerting.graver_of(alert.kind, alert.severity, before)
        # A resolved alert keeps its evidence: the current run is that of the recovery.
        evidence = published.evidence if resolved else figures(series.signal, alert, state, run)
    segment = (series.dimension, series.value)
    return AlertRaised(alert_id, series.signal, *segment, kind, "resolved" if resolved else "open", severity, evidence)


def figures(signal: str, alert: OpenAlert, state: Evidence, run: Sequence[Pair]) -> dict[str, Any]:
    """The current figures behind an alert."""
    lead = state.detector.run
    if lead is None:
        raise AssertionError("an alert has a run")
    contradicting = [pair for pair in run if pair.x > 0]
    delta = run[-1].delta
    low, high = rate_interval(lead.sum, lead.n)
    return {
        "pairs_before": alert.opened_pair,
        "since": date.fromordinal(lead.since).isoformat(),
        "run_n": lead.n,
        "run_rate": lead.rate,
        "null": delta,
        "low": low,
        "high": high,
        "log10_e": state.detector.log10_evidence,
        "accounts": len({pair.account for pair in contradicting}),
        "breakdown_rho": _breakdown(signal, low, delta),
        "orders": [pair.order for pair in contradicting[-ORDERS_SHOWN:]],
    }


def _breakdown(signal: str, low: float, delta: float) -> float | None:
    """How much more often unhappy customers would have to answer; None for a signal that needs no answers."""
    if signal in (MOVED, NO_QUESTION, *SILENCES):
        return None
    return breakdown_rho(low, delta if signal in (EXPERIENCE, EARLY) else baseline.DELTA0)
