"""From a crossing to an alert, and back: who is told, how loudly, and when it is over.

One segment's evidence is a fold over its pairs: `observe` takes the next one and changes the state in place.
The state is JSON between two pairs, so a worker may stop after any of them and another one goes on without a
bit of difference. Source of the rules: DIVERGENCE.md, "From a crossing to an alert". Days and `x` as in
`divergence`.
"""

import math
from collections.abc import Callable, Iterable, Sequence
from typing import Literal

import msgspec

from pipeline.domain.detection.detector import Detector, Run
from pipeline.domain.detection.intervals import rate_interval
from pipeline.domain.detection.resolver import Resolver, delta1

MARGIN = 0.03
"""Excess over the null, as a rate, below which a difference may be real but wakes nobody."""
MAJOR = 0.07
CRITICAL = 0.15
RESOLVE_AT = 100.0
"""Evidence (days) of the resolver at which an alert is over."""
UNVERIFIED_AFTER_DAYS = 30
# An open alert that pages nobody is judged again when a twentieth of its run is new. Reading a run costs its
# length, so this keeps the reading to 20 pairs for every pair that comes in.
_NEW_SHARE_OF_RUN = 20

Kind = Literal["divergence", "single_account_dispute", "watch"]
Severity = Literal["minor", "major", "critical"]
What = Literal["opened", "escalated", "resolved"]

_KIND_RANK: dict[Kind, int] = {"watch": 0, "single_account_dispute": 1, "divergence": 2}
_SEVERITY_RANK: dict[Severity | None, int] = {None: 0, "minor": 1, "major": 2, "critical": 3}


class Pair(msgspec.Struct, frozen=True, gc=False):
    """One counted observation: day of receipt, how much the customer denies, and the null frozen with it."""

    day: int
    x: float
    delta: float
    account: str
    order: str


class OpenAlert(msgspec.Struct):
    """An alert as long as it lasts. Figures are those of its opening, or of its rise to `divergence`."""

    kind: Kind
    severity: Severity | None
    """The highest so far; None for a watch."""
    opened_pair: int
    """Pairs counted before the one that opened it."""
    opened_day: int
    since: int
    """First day of the run."""
    run_n: int
    run_rate: float
    null: float
    low: float
    """Lower end of the run rate's 95 % interval."""
    log10_e: float
    resolver: Resolver
    judged_at: int = 0
    """Pairs counted when the run was last read for the gates; 0 = never."""

    @property
    def delta1(self) -> float:
        """The rate that must be shown to be undercut before it is over."""
        return self.resolver.delta1


class Evidence(msgspec.Struct):
    """Everything known of one segment and signal. A new segment is `Evidence()`."""

    detector: Detector = msgspec.field(default_factory=Detector)
    pairs: int = 0
    """Pairs counted so far, over all alerts."""
    last_day: int | None = None
    alert: OpenAlert | None = None


class Transition(msgspec.Struct, frozen=True):
    """What an alert just did; `alert` is a copy, later pairs do not change it."""

    what: What
    alert: OpenAlert


class Judgement(msgspec.Struct, frozen=True, kw_only=True):
    """The gates' verdict on a run, with the figures it rests on."""

    kind: Kind
    top_account: str
    top_sum: float
    rest_n: int
    rest_rate: float | None
    """None when the account that disagrees most is the only one."""
    rest_max: float
    """Largest R that the others reach on a fresh detector."""


Recent = Callable[[int], Sequence[Pair]]
"""The last k counted pairs, this one included, oldest first. Costs a database read."""


def excess(rate: float, delta: float) -> float:
    """How far a rate lies above its null; rounded, so that 12 % over 5 % is 7 points and not a bit less."""
    return round(rate - delta, 12)


def severity(rate: float, delta: float) -> Severity | None:
    """By points over the null: minor from 3, major from 7, critical from 15; None below."""
    points = excess(rate, delta)
    if points >= CRITICAL:
        return "critical"
    if points >= MAJOR:
        return "major"
    return "minor" if points >= MARGIN else None


def is_unverified(last_day: int | None, today: int) -> bool:
    """No pair for 30 days: nobody knows. Silence never resolves an alert."""
    return last_day is None or today - last_day >= UNVERIFIED_AFTER_DAYS


def judge(run: Sequence[Pair], delta: float, threshold: float, margin: float = MARGIN) -> Judgement:
    """The gates of a crossing, for the pairs of the lead bet's run and the current null.

    A segment diverges if the run exceeds the null by `margin`, and if without the account that disagrees most
    (the smallest id of equals) the rest still does and reaches sqrt(A) by itself. The rest is replayed on a
    fresh detector, each pair with its own null.
    """
    sums: dict[str, list[float]] = {}
    for pair in run:
        sums.setdefault(pair.account, []).append(pair.x)
    # fsum: thirds added in another order must not make another account the top one.
    top_sum, top_account = min((-math.fsum(xs), account) for account, xs in sums.items())
    rest = [pair for pair in run if pair.account != top_account]
    rest_rate = _mean(pair.x for pair in rest)
    replay = Detector()
    rest_max = max((replay.step(pair.day, pair.x, pair.delta) for pair in rest), default=0.0)
    kind: Kind = "watch"
    if excess(_mean(pair.x for pair in run) or 0.0, delta) >= margin:
        stands = rest_rate is not None and excess(rest_rate, delta) >= margin and rest_max >= math.sqrt(threshold)
        kind = "divergence" if stands else "single_account_dispute"
    return Judgement(
        kind=kind,
        top_account=top_account,
        top_sum=-top_sum,
        rest_n=len(rest),
        rest_rate=rest_rate,
        rest_max=rest_max,
    )


def observe(evidence: Evidence, pair: Pair, threshold: float, recent: Recent) -> Transition | None:
    """Take the next counted pair into `evidence` (changed in place); returns what the alert did, if anything.

    `threshold` is A in days. `recent` is called only when the gates need the run.
    """
    r = evidence.detector.step(pair.day, pair.x, pair.delta)
    evidence.pairs += 1
    if evidence.last_day is None or pair.day > evidence.last_day:
        evidence.last_day = pair.day
    alert = evidence.alert
    if alert is None:
        return None if r < threshold else _open(evidence, pair, threshold, recent)
    if alert.resolver.step(pair.day, pair.x) >= RESOLVE_AT:
        evidence.alert = None
        evidence.detector = Detector()
        return _transition("resolved", alert)
    # With R back under A the lead's run may be a single answer: nothing to raise an alarm by.
    return None if r < threshold else _raise(evidence, alert, pair, threshold, recent)


def graver(kind: Kind, severity: Severity | None, than: tuple[Kind, Severity | None]) -> bool:
    """Whether a kind and severity are worth telling after `than` was told."""
    return _KIND_RANK[kind] > _KIND_RANK[than[0]] or _SEVERITY_RANK[severity] > _SEVERITY_RANK[than[1]]


def difference(before: OpenAlert | None, after: OpenAlert | None) -> Transition | None:
    """What it means for the alert as it was told when a fold was done again and ends otherwise: it is no more, it is
    there now, or it is graver. A lesser alert is no news."""
    if after is None:
        return None if before is None else _transition("resolved", before)
    if before is None:
        return _transition("opened", after)
    rises = graver(after.kind, after.severity, (before.kind, before.severity))
    return _transition("escalated", after) if rises else None


def graver_of(
    kind: Kind, severity: Severity | None, told: tuple[Kind, Severity | None]
) -> tuple[Kind, Severity | None]:
    """What to tell after `told`: kind and severity, neither of them lower than it was told."""
    return max(kind, told[0], key=_KIND_RANK.__getitem__), max(severity, told[1], key=_SEVERITY_RANK.__getitem__)


def _open(evidence: Evidence, pair: Pair, threshold: float, recent: Recent) -> Transition:
    run = _run(evidence)
    alert = _alert(evidence, pair, run)
    if excess(run.rate, pair.delta) >= MARGIN:
        alert.kind = judge(recent(run.n), pair.delta, threshold).kind
        alert.judged_at = evidence.pairs
    evidence.alert = alert
    return _transition("opened", alert)


def _raise(evidence: Evidence, alert: OpenAlert, pair: Pair, threshold: float, recent: Recent) -> Transition | None:
    """An open alert under evidence that still stands: kind and severity may rise, and never fall."""
    if alert.kind == "divergence" and alert.severity == "critical":
        return None  # nothing is above it
    run = _run(evidence)
    reached = severity(run.rate, pair.delta)
    escalates = False
    if alert.kind != "divergence" and reached is not None and _due(evidence, alert, run):
        kind = judge(recent(run.n), pair.delta, threshold).kind
        alert.judged_at = evidence.pairs
        if _KIND_RANK[kind] > _KIND_RANK[alert.kind]:
            escalates = True
            alert.kind = kind
            if kind == "divergence":
                alert = evidence.alert = _as_of_now(alert, _alert(evidence, pair, run))
    if _SEVERITY_RANK[reached] > _SEVERITY_RANK[alert.severity]:
        escalates = True
        alert.severity = reached
    return _transition("escalated", alert) if escalates else None


def _due(evidence: Evidence, alert: OpenAlert, run: Run) -> bool:
    return _NEW_SHARE_OF_RUN * (evidence.pairs - alert.judged_at) >= run.n


def _alert(evidence: Evidence, pair: Pair, run: Run) -> OpenAlert:
    """The alert as the current run would open it, before its kind is known."""
    low, _ = rate_interval(run.sum, run.n)
    return OpenAlert(
        kind="watch",
        severity=severity(run.rate, pair.delta),
        opened_pair=evidence.pairs - 1,
        opened_day=max(pair.day, run.since),
        since=run.since,
        run_n=run.n,
        run_rate=run.rate,
        null=pair.delta,
        low=low,
        log10_e=evidence.detector.log10_evidence,
        resolver=Resolver(delta1(pair.delta, low)),
    )


def _as_of_now(alert: OpenAlert, now: OpenAlert) -> OpenAlert:
    """A dispute becomes everybody's: figures, and what would end it, are those of now; the opening stays."""
    return msgspec.structs.replace(
        now,
        kind=alert.kind,
        severity=alert.severity,
        opened_pair=alert.opened_pair,
        opened_day=alert.opened_day,
        judged_at=alert.judged_at,
    )


def _run(evidence: Evidence) -> Run:
    run = evidence.detector.run
    if run is None:  # the detector has just taken a pair
        raise AssertionError("a detector that crossed has no run")
    return run


def _transition(what: What, alert: OpenAlert) -> Transition:
    resolver = msgspec.structs.replace(alert.resolver)
    return Transition(what, msgspec.structs.replace(alert, resolver=resolver))


def _mean(values: Iterable[float]) -> float | None:
    xs = list(values)
    return sum(xs) / len(xs) if xs else None
