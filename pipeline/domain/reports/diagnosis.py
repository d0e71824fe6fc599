"""Which segments embellish, and how: those with an open alert, and the figures behind it.

Naming a segment accuses people who may be honest. So a segment is named only where a signal of the detector is open for
it: its guarantee against false alerts is that of the name. See docs/statistics.md, "Who is named".
"""

from collections.abc import Iterable, Mapping
from datetime import date
from typing import Literal

from msgspec import Struct

from pipeline.domain.detection.pairs import EARLY, IN_FULL, MOVED, NO_QUESTION, ON_TIME
from pipeline.domain.reports.alerts import Alert
from pipeline.domain.reports.counts import CHANGED_ADDRESS, SHARED_ADDRESS, Counts
from pipeline.domain.reports.figures import early_scans, missing_contacts, on_time_inflation, rescues
from pipeline.domain.reports.scenario_nps import Figure

How = Literal["scans_early", "redates", "asks_no_question", "not_confirmed"]

COUNTERS = (
    *("scanned_early", "stated_arrival", "rescued", "missed_first"),
    *("risk:unreachable", "risk", "clean:unreachable", "clean"),
    *("on_time", "on_time:stated", "on_time_first", "on_time_first:stated"),
    *(SHARED_ADDRESS, CHANGED_ADDRESS),
)
"""The counters of a segment that are needed."""
_HOW: Mapping[str, How] = {EARLY: "scans_early", MOVED: "redates", NO_QUESTION: "asks_no_question"}
# In the order of presentation: the most tangible first.
_WAYS: tuple[How, ...] = ("scans_early", "redates", "asks_no_question", "not_confirmed")


class Finding(Struct, frozen=True, kw_only=True):
    """One segment, one way to embellish, and its figures: shares in [0, 1], for `asks_no_question` a ratio."""

    dimension: str
    segment: str
    how: How
    cases: int
    """Number of orders behind it; for `scans_early` of answers."""
    figure: Figure
    """The segment's own figure, with its 95 % interval. Without orders in the period that of the alert's run."""
    rest: float | None
    """The same figure of all other segments together; for `not_confirmed` the baseline."""
    inflation: float | None = None
    """For `redates`: how much it adds to the segment's on-time share, as a difference of shares."""
    alerts: tuple[Alert, ...] = ()
    """Open divergences of this segment in which customers contradict its claims."""
    shared_addresses: int = 0
    """Its orders with a contact whose address serves other accounts, too: perhaps staff answers."""
    changed_addresses: int = 0
    """Its orders with a contact whose address changed shortly before completion."""


def diagnose(
    dimension: str, segments: Mapping[str, Counts], alerts: Iterable[Alert] = (), day: date | None = None
) -> tuple[Finding, ...]:
    """The segments of one level that embellish, and how; for each way the segment with most cases first.

    Of `alerts` only divergences of this level count that were open on `day` (None: that are open now). An open alert
    on *experience* is no proof: customers may be unhappy for other reasons. A segment whose customers contradict its
    claims is named `not_confirmed` if no other signal shows how.
    """
    fleet = _sum(segments.values())
    found: list[Finding] = []
    for value, opened in _divergences(dimension, alerts, day).items():
        counts = segments.get(value, {})
        rest = {name: n - counts.get(name, 0) for name, n in fleet.items()}
        contradicted = tuple(alert for alert in opened if alert.signal in (ON_TIME, IN_FULL))
        named = [_finding(alert, counts, rest, contradicted) for alert in opened if alert.signal in _HOW]
        if contradicted and not named:
            named = [_not_confirmed(contradicted, counts)]
        found += named
    return tuple(sorted(found, key=lambda finding: (_WAYS.index(finding.how), -finding.cases, finding.segment)))


def _finding(alert: Alert, counts: Counts, rest: Counts, contradicted: tuple[Alert, ...]) -> Finding:
    how = _HOW[alert.signal]
    figure_of, counter = _FIGURES[how]
    figure, others = figure_of(counts), figure_of(rest)
    known = figure is not None and counts.get(counter, 0) > 0
    return Finding(
        dimension=alert.dimension,
        segment=alert.value,
        how=how,
        cases=counts.get(counter, 0) if known else round(alert.run_rate * alert.run_n),
        figure=figure if figure is not None and known else _of_run(alert),
        rest=others.value if others else None,
        inflation=on_time_inflation(counts) if how == "redates" else None,
        alerts=contradicted,
        shared_addresses=counts.get(SHARED_ADDRESS, 0),
        changed_addresses=counts.get(CHANGED_ADDRESS, 0),
    )


_FIGURES = {
    "scans_early": (early_scans, "scanned_early"),
    "redates": (rescues, "rescued"),
    "asks_no_question": (missing_contacts, "risk:unreachable"),
}


def _not_confirmed(contradicted: tuple[Alert, ...], counts: Counts) -> Finding:
    proof = max(contradicted, key=lambda alert: (alert.log10_e, alert.signal))
    return Finding(
        dimension=proof.dimension,
        segment=proof.value,
        how="not_confirmed",
        cases=round(proof.run_rate * proof.run_n),
        figure=_of_run(proof),
        rest=proof.null,
        alerts=contradicted,
        shared_addresses=counts.get(SHARED_ADDRESS, 0),
        changed_addresses=counts.get(CHANGED_ADDRESS, 0),
    )


def _of_run(alert: Alert) -> Figure:
    return Figure(alert.run_rate, alert.low, alert.high, alert.run_n)


def _divergences(dimension: str, alerts: Iterable[Alert], day: date | None) -> dict[str, tuple[Alert, ...]]:
    found: dict[str, tuple[Alert, ...]] = {}
    for alert in alerts:
        if alert.dimension == dimension and alert.kind == "divergence" and _is_open(alert, day):
            found[alert.value] = (*found.get(alert.value, ()), alert)
    return found


def _is_open(alert: Alert, day: date | None) -> bool:
    if day is None:
        return alert.state == "open"
    ended = alert.resolved_at is not None and alert.resolved_at.date() <= day
    return alert.opened_at.date() <= day and not ended


def _sum(segments: Iterable[Counts]) -> dict[str, int]:
    added: dict[str, int] = {}
    for counts in segments:
        for name, n in counts.items():
            added[name] = added.get(name, 0) + n
    return added
