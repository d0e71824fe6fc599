"""Which segments embellish, and how: from their own counters, compared with the rest of the fleet.

Naming a segment accuses people who may be honest. So every rule requires three things at once: enough cases, an
interval (whose error is split over all segments and rules) above the rest of the fleet, and a difference that matters.
The rules use the lower end of the interval, never the point. See docs/statistics.md, "Who is named".
"""

from collections.abc import Iterable, Mapping
from typing import Literal

from msgspec import Struct, structs

from pipeline.domain.reports.alerts import Alert
from pipeline.domain.reports.counts import Counts
from pipeline.domain.reports.embellishment import EARLY_SCAN_BASELINE
from pipeline.domain.reports.figures import early_scans, missing_contacts, on_time_inflation, rescues
from pipeline.domain.reports.scenario_nps import Figure

How = Literal["scans_early", "redates", "asks_no_question", "not_confirmed"]

ALPHA = 0.05
"""Probability that a rule names any segment of an honest fleet, split equally over all segments and rules."""
RULES = 3
MIN_CASES = 10
"""Below ten cases no segment is named, however large the share: one driver's bad week is no habit."""
EARLY_SCAN_MARGIN = 0.05
"""Required above the rest of the fleet, and above the 2 % of honest memories that contradict a scan."""
RESCUE_MARGIN = 0.20
"""Honest planners, too, move a promise that was missed, to inform the customer of the new date. Twenty points more
than elsewhere serves the figure instead."""
RISK_RATIO_FLOOR = 3.0
"""Orders at risk also lack contacts for honest reasons (new accounts, odd addresses): up to twice as often."""


class Finding(Struct, frozen=True, kw_only=True):
    """One segment, one way to embellish, and its figures: shares in [0, 1], for `asks_no_question` a ratio."""

    dimension: str
    segment: str
    how: How
    cases: int
    """Number of orders behind it; for `scans_early` of answers."""
    figure: Figure
    """The segment's own figure, with its 95 % interval."""
    rest: float | None
    """The same figure of all other segments together; for `not_confirmed` the baseline."""
    inflation: float | None = None
    """For `redates`: how much it adds to the segment's on-time share, as a difference of shares."""
    alerts: tuple[Alert, ...] = ()
    """Open divergences of this segment."""


# In the order of presentation: the most tangible first.
_WAYS: tuple[How, ...] = ("scans_early", "redates", "asks_no_question", "not_confirmed")


def diagnose(dimension: str, segments: Mapping[str, Counts], alerts: Iterable[Alert] = ()) -> tuple[Finding, ...]:
    """The segments of one level that embellish, and how; for each way the segment with most cases first.

    Of `alerts` only open divergences of this level count. A segment whose customers contradict its claims is named
    `not_confirmed` if no rule shows how.
    """
    alerted = _open_divergences(dimension, alerts)
    alpha = ALPHA / (RULES * max(len(segments), 1))
    fleet = _sum(segments.values())
    found: list[Finding] = []
    for value, counts in segments.items():
        rest = {name: n - counts.get(name, 0) for name, n in fleet.items()}
        own = [rule(dimension, value, counts, rest, alpha) for rule in (_scans_early, _redates, _asks_no_question)]
        proofs = alerted.pop(value, ())
        named = [structs.replace(finding, alerts=proofs) for finding in own if finding is not None]
        if proofs and not named:
            named.append(_not_confirmed(dimension, value, proofs))
        found += named
    found += [_not_confirmed(dimension, value, proofs) for value, proofs in alerted.items()]
    return tuple(sorted(found, key=lambda finding: (_WAYS.index(finding.how), -finding.cases, finding.segment)))


def _scans_early(dimension: str, value: str, counts: Counts, rest: Counts, alpha: float) -> Finding | None:
    cases = counts.get("scanned_early", 0)
    if cases < MIN_CASES:
        return None
    strict, shown, others = early_scans(counts, alpha), early_scans(counts), early_scans(rest)
    usual = max(others.value if others else 0.0, EARLY_SCAN_BASELINE)
    if strict is None or shown is None or strict.low <= usual + EARLY_SCAN_MARGIN:
        return None
    return Finding(
        dimension=dimension,
        segment=value,
        how="scans_early",
        cases=cases,
        figure=shown,
        rest=others.value if others else None,
    )


def _redates(dimension: str, value: str, counts: Counts, rest: Counts, alpha: float) -> Finding | None:
    cases = counts.get("rescued", 0)
    if cases < MIN_CASES:
        return None
    strict, shown, others = rescues(counts, alpha), rescues(counts), rescues(rest)
    if strict is None or shown is None or others is None:
        return None
    if strict.low <= others.value + RESCUE_MARGIN:
        return None
    return Finding(
        dimension=dimension,
        segment=value,
        how="redates",
        cases=cases,
        figure=shown,
        rest=others.value,
        inflation=on_time_inflation(counts),
    )


def _asks_no_question(dimension: str, value: str, counts: Counts, rest: Counts, alpha: float) -> Finding | None:
    cases = counts.get("risk:unreachable", 0)
    if cases < MIN_CASES:
        return None
    strict, shown, others = missing_contacts(counts, alpha), missing_contacts(counts), missing_contacts(rest)
    if strict is None or shown is None:
        return None
    if strict.low <= max(RISK_RATIO_FLOOR, others.value if others else 0.0):
        return None
    return Finding(
        dimension=dimension,
        segment=value,
        how="asks_no_question",
        cases=cases,
        figure=shown,
        rest=others.value if others else None,
    )


def _not_confirmed(dimension: str, value: str, proofs: tuple[Alert, ...]) -> Finding:
    proof = max(proofs, key=lambda alert: (alert.log10_e, alert.signal))
    return Finding(
        dimension=dimension,
        segment=value,
        how="not_confirmed",
        cases=round(proof.run_rate * proof.run_n),
        figure=Figure(proof.run_rate, proof.low, proof.high, proof.run_n),
        rest=proof.null,
        alerts=proofs,
    )


def _open_divergences(dimension: str, alerts: Iterable[Alert]) -> dict[str, tuple[Alert, ...]]:
    found: dict[str, tuple[Alert, ...]] = {}
    for alert in alerts:
        if alert.dimension == dimension and alert.kind == "divergence" and alert.state == "open":
            found[alert.value] = (*found.get(alert.value, ()), alert)
    return found


def _sum(segments: Iterable[Counts]) -> dict[str, int]:
    added: dict[str, int] = {}
    for counts in segments:
        for name, n in counts.items():
            added[name] = added.get(name, 0) + n
    return added
