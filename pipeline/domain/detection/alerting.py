"""From a crossing of the threshold to an alert: its kind and severity, its escalation and its resolution.

One segment's evidence is a fold over its pairs: `observe` adds the next pair and changes the state in place. The state
is stored as JSON between two pairs, so another worker can continue after any pair with exactly the same result. Source
of the rules: docs/statistics.md, "From a crossing to an alert". Days and `x` as in `detector`.
"""

import math
from collections.abc import Callable, Iterable, Sequence
from typing import Literal, NamedTuple

import msgspec

from pipeline.domain.detection.detector import Detector, Run, replay
from pipeline.domain.detection.intervals import rate_interval
from pipeline.domain.detection.pairs import SOURCE_SILENT
from pipeline.domain.detection.resolver import Resolver, delta1

MARGIN = 0.03
"""Excess over the baseline, as a rate, below which a difference may be real but notifies no one."""
MAJOR = 0.07
"""Excess over the baseline from which an alert is major."""
CRITICAL = 0.15
"""Excess over the baseline from which an alert is critical."""
RESOLVE_AT = 400.0
"""Evidence of the resolver, in days, at which an alert resolves."""
FIRST_RESOLVE_AT = 100.0
"""As `RESOLVE_AT`, for the pairs of days before `rules_from`."""
SOLE_ACCOUNT_DAYS = 180
"""Days in which a segment had pairs of one account only, until its alerts count as those of that account."""
UNVERIFIED_AFTER_DAYS = 30
"""Days without a pair after which an open alert counts as unverified."""
# An open alert that notifies no one is judged again when a twentieth of its run is new. Reading a run costs its length,
# so this limits the cost to reading 20 pairs for every new pair.
_NEW_SHARE_OF_RUN = 20

Kind = Literal["divergence", "single_account_dispute", "single_account", "single_day", "watch"]
Severity = Literal["minor", "major", "critical"]
What = Literal["opened", "escalated", "resolved"]

_KIND_RANK: dict[Kind, int] = {
    "watch": 0,
    "single_day": 1,
    "single_account": 1,
    "single_account_dispute": 1,
    "divergence": 2,
}
_SEVERITY_RANK: dict[Severity | None, int] = {None: 0, "minor": 1, "major": 2, "critical": 3}


class Pair(msgspec.Struct, frozen=True, gc=False):
    """One counted observation: day of receipt, `x`, and the baseline `delta` frozen with it."""

    day: int
    x: float
    delta: float
    account: str
    order: str


class OpenAlert(msgspec.Struct):
    """An alert while it is open. Its figures are those of its opening, or of its escalation to `divergence`."""

    kind: Kind
    severity: Severity | None
    """The highest so far; None below the margin (a watch)."""
    opened_pair: int
    """Number of pairs counted before the one that opened it."""
    opened_day: int
    since: int
    """First day of the run."""
    run_n: int
    run_rate: float
    null: float
    """The baseline."""
    low: float
    """Lower end of the run rate's 95 % interval."""
    log10_e: float
    resolver: Resolver
    judged_at: int = 0
    """Number of pairs counted when the gates last read the run; 0: never."""

    @property
    def delta1(self) -> float:
        """The rate below which the rate must be shown to be before the alert resolves."""
        return self.resolver.delta1


class Evidence(msgspec.Struct):
    """The state of one segment and signal. A new segment is `Evidence()`."""

    detector: Detector = msgspec.field(default_factory=Detector)
    pairs: int = 0
    """Number of pairs counted so far, over all alerts."""
    last_day: int | None = None
    alert: OpenAlert | None = None
    account: str | None = None
    """The account of the newest pair; None before the first pair under the present rules."""
    other_account_day: int | None = None
    """The newest day that had a pair of any other account; None: there was none."""


class Transition(msgspec.Struct, frozen=True):
    """A change of an alert; `alert` is a copy that later pairs do not change."""

    what: What
    alert: OpenAlert


class Judgement(msgspec.Struct, frozen=True, kw_only=True):
    """The result of the gates for a run, with the figures behind it."""

    kind: Kind
    top_account: str
    top_sum: float
    rest_n: int
    rest_rate: float | None
    """Mean of x without the account that contradicts most; None if that is the only account."""
    rest_max: float
    """Largest R that the other accounts' pairs reach on a new detector, in days."""
    worst_day: int
    """The effective day with the largest sum of x - delta; of equal days the earliest."""
    other_days_rate: float | None
    """Mean of x without the worst day; None if the run has no other day."""
    other_days_max: float
    """Largest R that the pairs of the other days reach on a new detector, in days."""


Recent = Callable[[int], Sequence[Pair]]
"""Returns the last k counted pairs, the current one included, oldest first. Costs a database read."""
Confirm = Callable[[Sequence[Pair]], bool]
"""Whether something besides the pairs of a run supports a divergence. Costs a database read."""


class Rules(msgspec.Struct, frozen=True):
    """By which rules pairs are folded."""

    since: int = 0
    """First day (ordinal) of the present rules. The pairs of earlier days have neither worst-day gate nor
    `single_account`, and resolve at 100: what an earlier version concluded from them stays as it was published."""
    confirm: Confirm | None = None
    """A further gate of the signal, after all others; a run that fails it is a watch."""


PRESENT_RULES = Rules()


def excess(rate: float, delta: float) -> float:
    """How far a rate lies above its baseline; rounded, so that 12 % over 5 % is exactly 7 points."""
    return round(rate - delta, 12)


def severity(rate: float, delta: float) -> Severity | None:
    """By points over the baseline: minor from 3, major from 7, critical from 15; None below 3."""
    points = excess(rate, delta)
    if points >= CRITICAL:
        return "critical"
    if points >= MAJOR:
        return "major"
    return "minor" if points >= MARGIN else None


def is_unverified(signal: str, last_day: int | None, today: int) -> bool:
    """Whether an open alert has had no pair for 30 days, which never resolves it. A source's silence has no pairs."""
    return signal != SOURCE_SILENT and (last_day is None or today - last_day >= UNVERIFIED_AFTER_DAYS)


def judge(
    run: Sequence[Pair], delta: float, threshold: float, margin: float = MARGIN, *, since: int = 0, by_day: bool = True
) -> Judgement:
    """Apply the gates to the pairs of the lead bet's run, with the current baseline `delta` and A in days.

    A segment diverges if the run exceeds the baseline by `margin`, if without the account that contradicts most (of
    equal accounts the smallest id) the rest still exceeds it and reaches sqrt(A) on its own, and if the same holds
    without the worst day. Each rest is replayed on a new detector, each pair with its own baseline. `since`: the first
    day of the run, as the detector counts days. `by_day` False: without the gate of the worst day.
    """
    top_sum, top_account = _top_account(run)
    rest = [pair for pair in run if pair.account != top_account]
    rest_rate, rest_max = mean_x(rest), largest_evidence(rest)
    worst_day, other_days = _without_worst_day(run, since)
    kind: Kind = "watch"
    if excess(mean_x(run) or 0.0, delta) >= margin:
        if not _stands(rest_rate, rest_max, delta, threshold, margin):
            kind = "single_account_dispute"
        elif by_day and not stands(other_days, delta, threshold, margin):
            kind = "single_day"
        else:
            kind = "divergence"
    return Judgement(
        kind=kind,
        top_account=top_account,
        top_sum=top_sum,
        rest_n=len(rest),
        rest_rate=rest_rate,
        rest_max=rest_max,
        worst_day=worst_day,
        other_days_rate=mean_x(other_days),
        other_days_max=largest_evidence(other_days),
    )


def stands(pairs: Sequence[Pair], delta: float, threshold: float, margin: float = MARGIN) -> bool:
    """Whether pairs show a divergence by themselves: `margin` above `delta`, and R reaches sqrt(A) on a new detector.

    Stops reading as soon as the answer is known.
    """
    rate = mean_x(pairs)
    if rate is None or excess(rate, delta) < margin:
        return False
    needed = math.sqrt(threshold)
    return any(r >= needed for r in replay(pairs))


def largest_evidence(pairs: Iterable[Pair]) -> float:
    """The largest R that pairs reach on a new detector, in days; 0 without pairs."""
    return max(replay(pairs), default=0.0)


def mean_x(pairs: Iterable[Pair]) -> float | None:
    """Mean of x; None without pairs."""
    xs = [pair.x for pair in pairs]
    return sum(xs) / len(xs) if xs else None


def top_account(run: Sequence[Pair]) -> str:
    """The account with the largest sum of x in a run that is not empty; of equal accounts the smallest id."""
    return _top_account(run)[1]


def _top_account(run: Sequence[Pair]) -> tuple[float, str]:
    sums: dict[str, list[float]] = {}
    for pair in run:
        sums.setdefault(pair.account, []).append(pair.x)
    # fsum: the order in which thirds are added must not decide which account is the top one.
    negative, account = min((-math.fsum(xs), account) for account, xs in sums.items())
    return -negative, account


def _without_worst_day(run: Sequence[Pair], since: int) -> tuple[int, list[Pair]]:
    """The worst day, and the pairs of the other days, each at its effective day: the running maximum of days."""
    sums: dict[int, list[float]] = {}
    effective, day = list[Pair](), since
    for pair in run:
        day = max(day, pair.day)
        effective.append(pair if pair.day == day else msgspec.structs.replace(pair, day=day))
        sums.setdefault(day, []).append(pair.x - pair.delta)
    _, worst = min((-math.fsum(values), day) for day, values in sums.items())
    return worst, [pair for pair in effective if pair.day != worst]


def _stands(rate: float | None, evidence: float, delta: float, threshold: float, margin: float) -> bool:
    return rate is not None and excess(rate, delta) >= margin and evidence >= math.sqrt(threshold)


def observe(
    evidence: Evidence, pair: Pair, threshold: float, recent: Recent, rules: Rules = PRESENT_RULES
) -> Transition | None:
    """Add the next counted pair to `evidence` (changed in place); returns the change of the alert, if any.

    `threshold` is A in days. `recent` is called only when the gates need the run.
    """
    r = evidence.detector.step(pair.day, pair.x, pair.delta)
    evidence.pairs += 1
    present = max(pair.day, evidence.last_day or 0) >= rules.since
    if present:
        _note_account(evidence, pair)
    if evidence.last_day is None or pair.day > evidence.last_day:
        evidence.last_day = pair.day
    alert = evidence.alert
    if alert is None:
        return None if r < threshold else _open(evidence, pair, _Gates(threshold, recent, rules))
    if alert.resolver.step(pair.day, pair.x) >= (RESOLVE_AT if present else FIRST_RESOLVE_AT):
        evidence.alert = None
        evidence.detector = Detector()
        return _transition("resolved", alert)
    # With R below A again, the lead bet's run may be a single answer: no reason to escalate.
    return None if r < threshold else _escalate(evidence, alert, pair, _Gates(threshold, recent, rules))


def _note_account(evidence: Evidence, pair: Pair) -> None:
    """Remember on which day the segment last had a pair of another account than the newest pair's."""
    if evidence.account != pair.account:
        evidence.other_account_day = evidence.last_day  # None at the first pair
        evidence.account = pair.account


class _Gates(NamedTuple):
    """What decides the kind of an alert."""

    threshold: float
    recent: Recent
    rules: Rules

    def kind(self, evidence: Evidence, pair: Pair, run: Run) -> Kind:
        """The kind that the run has now."""
        day = evidence.last_day or pair.day
        present = day >= self.rules.since
        other = evidence.other_account_day
        if present and (other is None or day - other >= SOLE_ACCOUNT_DAYS):
            return "single_account"
        pairs = self.recent(run.n)
        kind = judge(pairs, pair.delta, self.threshold, since=run.since, by_day=present).kind
        confirm = self.rules.confirm
        return "watch" if kind == "divergence" and confirm is not None and not confirm(pairs) else kind


def enter(
    evidence: Evidence, day: int, threshold: float, recent: Recent, rules: Rules = PRESENT_RULES
) -> Transition | None:
    """Judge the evidence so far by a `threshold` (A in days) that holds from `day` on; returns the alert, if one opens.

    For a level that was not judged before, or whose threshold falls: R may be above A already. `evidence` is changed in
    place. `recent` returns the last k counted pairs. Repeated on one day, it changes nothing.
    """
    if evidence.alert is not None or evidence.detector.evidence < threshold:
        return None
    [newest] = recent(1)
    opened = _open(evidence, newest, _Gates(threshold, recent, rules)).alert
    evidence.alert = msgspec.structs.replace(opened, opened_pair=evidence.pairs, opened_day=day)
    return _transition("opened", evidence.alert)


def is_graver(kind: Kind, severity: Severity | None, published: tuple[Kind, Severity | None]) -> bool:
    """Whether the kind or the severity is higher than those `published` last."""
    return _KIND_RANK[kind] > _KIND_RANK[published[0]] or _SEVERITY_RANK[severity] > _SEVERITY_RANK[published[1]]


def difference(before: OpenAlert | None, after: OpenAlert | None) -> Transition | None:
    """The change to publish when the fold was repeated over amended pairs, from the published alert to the new one.

    The alert is resolved, opened or escalated. None: nothing changed, or the new alert is less severe.
    """
    if after is None:
        return None if before is None else _transition("resolved", before)
    if before is None:
        return _transition("opened", after)
    rises = is_graver(after.kind, after.severity, (before.kind, before.severity))
    return _transition("escalated", after) if rises else None


def graver_of(
    kind: Kind, severity: Severity | None, published: tuple[Kind, Severity | None]
) -> tuple[Kind, Severity | None]:
    """Kind and severity to publish: neither is lower than what was `published` last."""
    return (
        max(kind, published[0], key=_KIND_RANK.__getitem__),
        max(severity, published[1], key=_SEVERITY_RANK.__getitem__),
    )


def _open(evidence: Evidence, pair: Pair, gates: _Gates) -> Transition:
    run = _run(evidence)
    alert = _new_alert(evidence, pair, run)
    if excess(run.rate, pair.delta) >= MARGIN:
        alert.kind = gates.kind(evidence, pair, run)
        alert.judged_at = evidence.pairs
    evidence.alert = alert
    return _transition("opened", alert)


def _escalate(evidence: Evidence, alert: OpenAlert, pair: Pair, gates: _Gates) -> Transition | None:
    """Escalate an open alert whose evidence is still above A: kind and severity may rise, and never fall."""
    if alert.kind == "divergence" and alert.severity == "critical":
        return None  # the highest already
    run = _run(evidence)
    reached = severity(run.rate, pair.delta)
    escalates = False
    if alert.kind != "divergence" and reached is not None and _judge_again(evidence, alert, run):
        kind = gates.kind(evidence, pair, run)
        alert.judged_at = evidence.pairs
        if _KIND_RANK[kind] > _KIND_RANK[alert.kind]:
            escalates = True
            alert.kind = kind
            if kind == "divergence":
                alert = evidence.alert = _with_figures_of(alert, _new_alert(evidence, pair, run))
    if _SEVERITY_RANK[reached] > _SEVERITY_RANK[alert.severity]:
        escalates = True
        alert.severity = reached
    return _transition("escalated", alert) if escalates else None


def _judge_again(evidence: Evidence, alert: OpenAlert, run: Run) -> bool:
    return _NEW_SHARE_OF_RUN * (evidence.pairs - alert.judged_at) >= run.n


def _new_alert(evidence: Evidence, pair: Pair, run: Run) -> OpenAlert:
    """The alert that the current run opens, before its kind is known."""
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


def _with_figures_of(alert: OpenAlert, current: OpenAlert) -> OpenAlert:
    """A dispute that became a divergence: the figures and the resolver are the current ones, the opening stays."""
    return msgspec.structs.replace(
        current,
        kind=alert.kind,
        severity=alert.severity,
        opened_pair=alert.opened_pair,
        opened_day=alert.opened_day,
        judged_at=alert.judged_at,
    )


def _run(evidence: Evidence) -> Run:
    run = evidence.detector.run
    if run is None:
        raise AssertionError("the detector has a pair and no run")
    return run


def _transition(what: What, alert: OpenAlert) -> Transition:
    resolver = msgspec.structs.replace(alert.resolver)
    return Transition(what, msgspec.structs.replace(alert, resolver=resolver))
