"""One cause, one alert: which open alerts of a signal have a cause of their own, and which are echoes of another.

A depot that embellishes opens alerts for its region and its carriers as well. An alert explains another if, without its
orders, nothing is left of the other. A pure function of stored rows; it only groups valid alerts, so it adds no false
one. Source of the rules: docs/statistics.md, "One cause, one alert".
"""

import math
from collections.abc import Collection, Mapping, Sequence
from heapq import heappop, heappush
from itertools import islice
from typing import NamedTuple

import msgspec

from pipeline.domain.detection.alerting import MARGIN, Kind, Pair, excess, mean_x, stands, top_account
from pipeline.domain.detection.detector import BETS, replay
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
    causes = _find_causes(candidates)
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

    A replay of the run is needed only when the candidate comes up as the next cause, or may explain that. In between
    `bound` says how much evidence there can be at most. Only candidates that share orders are compared.
    """

    def __init__(self, alert: OpenRun, orders: Mapping[str, OrderPlace], disputed: Collection[str]) -> None:
        self.alert = alert
        self.is_cause = False
        self.shared: dict[_Candidate, frozenset[str]] = {}  # other candidate -> orders of this run that are its, too
        self.touched: list[_Candidate] = []  # those whose runs have orders of this segment
        self.bound = math.inf
        """The largest R of what is left, or more while it was not replayed; 0 if what is left does not stand."""
        self.is_exact = False
        self.queued = 0.0  # the bound of its valid entry in the queue
        self._contradicting = {pair.order for pair in alert.pairs if pair.x > 0.0}
        self._undisputed = [pair for pair in alert.pairs if orders[pair.order].account not in disputed]
        self._rest = {pair.order: pair for pair in self._undisputed}
        self._total = sum(pair.x for pair in self._rest.values())
        self._explained: dict[_Candidate, bool] = {}
        self._needed: frozenset[str] = frozenset()

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
        if not self.is_exact:
            self.bound = self._evidence() if self._exceeds_margin() else 0.0
            self.is_exact = True
        return self.bound > 0.0

    def _exceeds_margin(self) -> bool:
        if not self._rest:
            return False
        distance = self._total / len(self._rest) - self.alert.delta - MARGIN
        if abs(distance) > _ROUNDING:
            return distance > 0.0
        return excess(mean_x(self._rest.values()) or 0.0, self.alert.delta) >= MARGIN

    def _evidence(self) -> float:
        """The largest R of a new detector, 0 below sqrt(A). Notes the orders up to the pair that reaches it."""
        needed, rs = math.sqrt(self.alert.threshold), list(replay(self._rest.values()))
        place = next((place for place, r in enumerate(rs, 1) if r >= needed), None)
        if place is None:
            return 0.0
        self._needed = frozenset(islice(self._rest, place))
        return max(rs)

    def is_echo(self) -> bool:
        """Whether this standing run belongs to another standing one that is no cause yet."""
        return any(
            not other.is_cause and self._is_explained_by(other) and other.stands() and self._is_behind(other)
            for other in self.shared
        )

    def _is_behind(self, other: "_Candidate") -> bool:
        """Whether the other, which explains this one, is its cause: of two that explain each other, the smaller one."""
        if not other._is_explained_by(self):
            return True
        return (other.alert.counted, other.alert.key) < (self.alert.counted, self.alert.key)

    def _is_explained_by(self, other: "_Candidate") -> bool:
        """Whether this standing run falls without the other's orders."""
        shared = self.shared.get(other)
        if not shared:
            return False
        if other not in self._explained:
            self._explained[other] = self._falls_without(shared & self._rest.keys())
        return self._explained[other]

    def _falls_without(self, orders: frozenset[str]) -> bool:
        left = len(self._rest) - len(orders)
        if not orders or not left:
            return not left
        rate = (self._total - sum(self._rest[order].x for order in orders)) / left
        distance = rate - self.alert.delta - MARGIN
        # Most questions need no replay: clearly below the margin, or clearly above and the evidence untouched.
        if distance < -_ROUNDING:
            return True
        if distance > _ROUNDING and self._needed.isdisjoint(orders):
            return False
        rest = (pair for order, pair in self._rest.items() if order not in orders)
        if distance > _ROUNDING:
            needed = math.sqrt(self.alert.threshold)
            return not any(r >= needed for r in replay(rest))
        return not stands([*rest], self.alert.delta, self.alert.threshold)

    def leave_out(self, cause: "_Candidate") -> bool:
        """Leave out the orders of a cause's segment. Returns whether there were any."""
        orders = self.shared[cause] & self._rest.keys()
        if not orders:
            return False
        bound = self.bound if self.bound > 0.0 else math.inf
        for order in sorted(orders):
            pair = self._rest.pop(order)
            self._total -= pair.x
            bound *= _growth_without(pair)
        self.bound, self.is_exact, self._explained = bound, False, {}
        return True

    def contradictions_shared_with(self, other: "_Candidate") -> int:
        """Number of contradicting orders of the run that belong to the other's segment, too."""
        return len(self._contradicting & self.shared.get(other, frozenset()))


def _growth_without(pair: Pair) -> float:
    """By what factor the evidence of any run grows at most if this pair is left out of it.

    R is a sum of products, one for each day that passed, of the factors ``1 - f + f x / delta`` of the pairs after it.
    Without a factor below 1 each product is larger by its reciprocal at most; without one above 1 it is smaller.
    """
    return max(1.0, 1.0 / (1.0 - BETS[-1] + BETS[-1] * pair.x / pair.delta)) * (1.0 + _ROUNDING)


def _find_causes(candidates: Sequence[_Candidate]) -> list[_Candidate]:
    """The causes, those with most evidence first; their orders are left out of the other candidates."""
    causes, queue = list[_Candidate](), _Queue()
    for each in candidates:
        queue.put(each)
    while (cause := _next_cause(queue)) is not None:
        cause.is_cause = True
        causes.append(cause)
        for other in cause.touched:
            if other.leave_out(cause) and not other.is_cause:
                queue.put(other)
    return causes


def _next_cause(queue: "_Queue") -> _Candidate | None:
    """Of the standing ones that no other standing one explains, the one with most evidence; None: nothing stands."""
    echoes = list[_Candidate]()
    found = None
    while found is None and (each := queue.pop()) is not None:
        if each.is_echo():
            echoes.append(each)
        else:
            found = each
    if found is None and echoes:
        found = echoes.pop(0)  # a ring of more than two, each explained by the next: any of them may be the cause
    for each in echoes:
        queue.put(each)
    return found


class _Queue:
    """Candidates by their evidence, the largest first, those with the same by key."""

    def __init__(self) -> None:
        self._entries: list[tuple[float, str, _Candidate]] = []

    def put(self, each: _Candidate) -> None:
        """Add a candidate, or move it to its present bound."""
        each.queued = each.bound
        heappush(self._entries, (-each.bound, each.alert.key, each))

    def pop(self) -> _Candidate | None:
        """Remove the standing candidate with most evidence and return it; None: none stands."""
        while self._entries:
            negative, _, each = heappop(self._entries)
            if each.is_cause or each.queued != -negative:
                continue  # moved meanwhile
            if each.is_exact and each.bound == each.queued:
                each.queued = 0.0
                return each
            if each.stands():  # it has no more than its bound, so it may come later
                self.put(each)
        return None


def _link(candidates: Sequence[_Candidate], orders: Mapping[str, OrderPlace]) -> None:
    """Note for each pair of candidates which orders of the one's run belong to the other's segment."""
    by_segment = {each.alert.segment: each for each in candidates}
    find = by_segment.get
    at: dict[int, list[_Candidate]] = {}  # by id of segments: orders with the same ones share them
    for each in candidates:
        found: dict[_Candidate, set[str]] = {}
        for pair in each.alert.pairs:
            segments = orders[pair.order].segments
            others = at.get(id(segments))
            if others is None:
                others = at[id(segments)] = [other for one in segments if (other := find(one)) is not None]
            for other in others:
                if other is not each:
                    found.setdefault(other, set()).add(pair.order)
        each.shared = {other: frozenset(names) for other, names in found.items()}
        for other in found:
            other.touched.append(each)


def _result(candidates: Sequence[_Candidate], causes: Sequence[_Candidate], disputed: tuple[str, ...]) -> Explanation:
    explained: dict[str, list[str]] = {}
    unexplained: list[str] = []
    for each in candidates:
        if each.is_cause:
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
