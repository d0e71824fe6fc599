"""One cause, one alert: which open alerts of a signal have a cause of their own, and which are echoes of another.

A depot that embellishes opens alerts for its region and its carriers as well. An alert explains another if, without its
orders, nothing is left of the other. A pure function of stored rows; it only groups valid alerts, so it adds no false
one. Source of the rules: docs/statistics.md, "One cause, one alert".
"""

import math
from collections.abc import Collection, Mapping, Sequence
from typing import NamedTuple

import msgspec

from pipeline.domain.detection.alerting import MARGIN, Kind, Pair, largest_evidence, stands, top_account
from pipeline.domain.detection.detector import Detector
from pipeline.domain.detection.segments import Segment

_ROUNDING = 1e-9  # far above the error of adding floats in another order, far below any difference that matters


class OpenRun(msgspec.Struct, frozen=True, kw_only=True):
    """One open alert of the signal, with the pairs that it rests on."""

    key: str
    """Identity of the alert. Decides between equals, the smallest first."""
    segment: Segment
    kind: Kind
    threshold: float
    """A of the segment's level, in days."""
    pairs: Sequence[Pair]
    """The counted pairs of the segment from the alert's `since` on (that of its opening, or of its last escalation to a
    divergence), in order of receipt; not empty."""
    counted: int
    """All pairs ever counted in the segment."""

    @property
    def delta(self) -> float:
        """The current baseline: that of the newest pair."""
        return self.pairs[-1].delta


class OrderPlace(NamedTuple):
    """Where an order belongs: its account, and the segments that its own dimensions give at every level."""

    account: str
    segments: Collection[Segment]


class Explanation(msgspec.Struct, frozen=True, kw_only=True):
    """The result for one signal; alerts by their keys."""

    causes: tuple[str, ...]
    """Alerts with a cause of their own, those with most evidence first."""
    explained: Mapping[str, tuple[str, ...]]
    """By cause the alerts that it explains, by key. A cause that explains none has no entry."""
    disputed_accounts: tuple[str, ...]
    """Accounts whose dispute explains every alert it touches; their orders count for no cause."""
    unexplained: tuple[str, ...]
    """Divergences that neither stand by themselves nor share a contradicting order with a cause."""
    of_disputes: tuple[str, ...] = ()
    """Those of the unexplained that stand with the orders of the disputed accounts only: one account's dispute, which
    notifies no one."""


def explain(alerts: Collection[OpenRun], orders: Mapping[str, OrderPlace]) -> Explanation:
    """Find the causes among the open alerts of one signal (of all kinds; only a divergence can be a cause).

    `orders`: the place of each order in any of the runs, and of every order that was counted for the signal of each
    account with an open `single_account_dispute`. Raises KeyError if an order of a run is missing.
    """
    alerts = sorted(alerts, key=lambda alert: alert.key)
    disputed = disputed_accounts(alerts, orders)
    candidates = [_Candidate(alert, orders, disputed) for alert in alerts if alert.kind == "divergence"]
    _link(candidates, orders)
    causes = list[_Candidate]()
    while standing := [each for each in candidates if each not in causes and each.stands()]:
        cause = _strongest(standing)
        causes.append(cause)
        for other in candidates:
            other.leave_out(cause)
    return _result(candidates, causes, disputed)


def disputed_accounts(alerts: Sequence[OpenRun], orders: Mapping[str, OrderPlace]) -> tuple[str, ...]:
    """The accounts that explain everything they touch, by id.

    The account that contradicts most in an open `single_account_dispute` is one if every open alert whose segment
    contains all of its orders falls without it.
    """
    suspects = sorted({top_account(alert.pairs) for alert in alerts if alert.kind == "single_account_dispute"})
    shared = {account: _common_segments(account, orders) for account in suspects}
    return tuple(
        account
        for account in suspects
        if not any(_stands_without(alert, account) for alert in alerts if alert.segment in shared[account])
    )


def _common_segments(account: str, orders: Mapping[str, OrderPlace]) -> set[Segment]:
    """The segments that contain all orders of an account."""
    places = [set(place.segments) for place in orders.values() if place.account == account]
    return set.intersection(*places) if places else set()


def _stands_without(alert: OpenRun, account: str) -> bool:
    return stands([pair for pair in alert.pairs if pair.account != account], alert.delta, alert.threshold)


class _Candidate:
    """A divergence while causes are searched: its run, without the orders of the causes found so far.

    What was computed is kept until one of its orders is left out.
    """

    def __init__(self, alert: OpenRun, orders: Mapping[str, OrderPlace], disputed: Collection[str]) -> None:
        self.alert = alert
        self.shared: dict[int, frozenset[str]] = {}  # other candidate -> orders of this run that belong to it, too
        self._contradicting = {pair.order for pair in alert.pairs if pair.x > 0.0}
        self._undisputed = [pair for pair in alert.pairs if orders[pair.order].account not in disputed]
        self._keep(self._undisputed)

    def _keep(self, rest: list[Pair]) -> None:
        self.rest = rest
        self._x = {pair.order: pair.x for pair in rest}
        self._total = sum(self._x.values())
        self._explained: dict[int, bool] = {}
        self._evidence: float | None = None
        self._needed: frozenset[str] = frozenset()
        self._stands: bool | None = None

    @property
    def is_of_dispute(self) -> bool:
        """Whether the whole run shows a divergence, and only the disputed accounts make it one."""
        alert = self.alert
        return (
            not stands(self._undisputed, alert.delta, alert.threshold)
            and len(self._undisputed) < len(alert.pairs)
            and stands(alert.pairs, alert.delta, alert.threshold)
        )

    def stands(self) -> bool:
        """Whether what is left still shows a divergence."""
        if self._stands is None:
            self._stands = stands(self.rest, self.alert.delta, self.alert.threshold)
            self._needed = _reaching(self.rest, self.alert.threshold) if self._stands else frozenset()
        return self._stands

    def evidence(self) -> float:
        """The largest R of what is left."""
        if self._evidence is None:
            self._evidence = largest_evidence(self.rest)
        return self._evidence

    def is_explained_by(self, other: "_Candidate") -> bool:
        """Whether this standing run falls without the other's orders."""
        shared = self.shared.get(id(other))
        if not shared:
            return False
        if id(other) not in self._explained:
            self._explained[id(other)] = self._falls_without(shared & self._x.keys())
        return self._explained[id(other)]

    def _falls_without(self, orders: frozenset[str]) -> bool:
        left = len(self.rest) - len(orders)
        if not orders or not left:
            return not left
        rate = (self._total - sum(self._x[order] for order in orders)) / left
        distance = rate - self.alert.delta - MARGIN
        # Most questions need no replay: clearly below the margin, or clearly above and the evidence untouched.
        if distance < -_ROUNDING:
            return True
        if distance > _ROUNDING and self._needed.isdisjoint(orders):
            return False
        rest = [pair for pair in self.rest if pair.order not in orders]
        return not stands(rest, self.alert.delta, self.alert.threshold)

    def leave_out(self, other: "_Candidate") -> None:
        """Leave out the orders of the other's segment."""
        orders = self.shared.get(id(other), frozenset()) & self._x.keys()
        if orders:
            self._keep([pair for pair in self.rest if pair.order not in orders])

    def contradictions_shared_with(self, other: "_Candidate") -> int:
        """Number of contradicting orders of the run that belong to the other's segment, too."""
        return len(self._contradicting & self.shared.get(id(other), frozenset()))


def _reaching(pairs: Sequence[Pair], threshold: float) -> frozenset[str]:
    """The orders up to the pair at which the evidence of a new detector reaches sqrt(A)."""
    needed, replay = math.sqrt(threshold), Detector()
    for place, pair in enumerate(pairs, 1):
        if replay.step(pair.day, pair.x, pair.delta) >= needed:
            return frozenset(each.order for each in pairs[:place])
    return frozenset(pair.order for pair in pairs)


def _link(candidates: Sequence[_Candidate], orders: Mapping[str, OrderPlace]) -> None:
    """Note for each pair of candidates which orders of the one's run belong to the other's segment."""
    by_segment = {each.alert.segment: each for each in candidates}
    for each in candidates:
        found: dict[int, set[str]] = {}
        for pair in each.alert.pairs:
            for segment in orders[pair.order].segments:
                other = by_segment.get(segment)
                if other is not None and other is not each:
                    found.setdefault(id(other), set()).add(pair.order)
        each.shared = {other: frozenset(names) for other, names in found.items()}


def _strongest(standing: Sequence[_Candidate]) -> _Candidate:
    """The next cause: of the standing ones that no other standing one explains, the one with most evidence."""
    ranked = sorted(standing, key=lambda each: (-each.evidence(), each.alert.key))
    for each in ranked:
        if not any(_belongs_to(each, other) for other in ranked):
            return each
    return ranked[0]  # a ring of more than two, each explained by the next: any of them may be the cause


def _belongs_to(one: _Candidate, other: _Candidate) -> bool:
    """Whether the other is the cause of this one. If both explain each other, the one with fewer pairs is the cause."""
    if one is other or not one.is_explained_by(other):
        return False
    if not other.is_explained_by(one):
        return True
    return (other.alert.counted, other.alert.key) < (one.alert.counted, one.alert.key)


def _result(candidates: Sequence[_Candidate], causes: Sequence[_Candidate], disputed: tuple[str, ...]) -> Explanation:
    explained: dict[str, list[str]] = {}
    unexplained: list[str] = []
    for each in candidates:
        if each in causes:
            continue
        shares = [(-each.contradictions_shared_with(cause), cause.alert.key) for cause in causes]
        most, key = min(shares, default=(0, ""))
        if most:
            explained.setdefault(key, []).append(each.alert.key)
        else:
            unexplained.append(each.alert.key)
    return Explanation(
        causes=tuple(cause.alert.key for cause in causes),
        explained={key: tuple(keys) for key, keys in explained.items()},
        disputed_accounts=disputed,
        unexplained=tuple(unexplained),
        of_disputes=tuple(
            each.alert.key for each in candidates if each.alert.key in unexplained and each.is_of_dispute
        ),
    )
