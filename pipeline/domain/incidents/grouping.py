"""Which incidents there are: the causes and echoes of all signals, and the incidents that had these alerts before.

A pure function of what is stored. One writer applies it whenever alerts, amendments or the day change.
"""

from collections.abc import Mapping, Sequence
from datetime import datetime
from typing import NamedTuple

from msgspec import Struct

from pipeline.domain.detection.explanation import Explanation
from pipeline.domain.detection.pairs import SIGNALS
from pipeline.domain.detection.segments import Segment
from pipeline.domain.incidents.incident import (
    PREFIX,
    REOPEN_WITHIN,
    SYSTEM,
    Act,
    AlertFacts,
    Incident,
    worse,
    worst,
)


class Group(Struct):
    """The alerts with one cause, whatever their signal, and those that they explain."""

    segment: Segment
    causes: list[AlertFacts]
    explains: list[str]


class Step(NamedTuple):
    """An incident as it is from now on, and what is to be published about it, in this order."""

    incident: Incident
    acts: Sequence[Act]


class Known(NamedTuple):
    """The incidents so far. `active`: those that may have open alerts, by number. `ended`: those resolved lately."""

    active: Sequence[Incident]
    ended: Sequence[Incident]
    total: int


def groups_of(
    explanations: Mapping[str, Explanation], alerts: Mapping[str, AlertFacts], held: Mapping[str, Incident]
) -> list[Group]:
    """The groups of open alerts, by segment.

    `held`: by alert the active incident that has it. An alert that neither stands nor has a cause stays where it was.
    """
    found: dict[Segment, Group] = {}
    for signal in sorted(explanations, key=_order):
        explanation = explanations[signal]
        for key in explanation.causes:
            if key in alerts:
                _group_at(found, alerts[key]).explains += [
                    echo for echo in explanation.explained.get(key, ()) if echo in alerts
                ]
        for key in explanation.unexplained:
            if key in explanation.of_disputes:
                continue  # its incident ends: one account's dispute notifies no one
            if key in alerts and key in held and key in held[key].alerts:
                _group_at(found, alerts[key])
    return [found[segment] for segment in sorted(found)]


def _group_at(found: dict[Segment, Group], alert: AlertFacts) -> Group:
    group = found.setdefault(alert.segment, Group(alert.segment, [], []))
    group.causes.append(alert)
    return group


def _order(signal: str) -> tuple[int, str]:
    return (SIGNALS.index(signal) if signal in SIGNALS else len(SIGNALS), signal)


def regroup(groups: Sequence[Group], known: Known, open_alerts: frozenset[str], now: datetime) -> list[Step]:
    """What becomes of the incidents, and of the groups that belong to none.

    The oldest of several incidents with one cause goes on, and the others end in it. If an incident's alerts have
    several causes, the part with its cause goes on.
    """
    plan = _Plan(groups, known, now)
    steps = [
        step
        for incident in plan.unclaimed
        if open_alerts.isdisjoint(incident.alerts)
        for step in _resolved(incident, now)
    ]
    for place, group in enumerate(groups):
        claiming, returning = plan.claims.get(place, []), plan.returning.get(place)
        if claiming:
            steps += _merged(claiming[1:], claiming[0], now)
            steps.append(_follow(claiming[0], group, plan.parts.get(claiming[0].number), now))
        elif returning is not None:
            steps.append(_return(returning, group, now))
        else:
            origin = plan.origins.get(place)
            steps.append(_opened(plan.numbers[place], group, None if origin is None else origin.incident_id, now))
    return steps


class _Plan:
    """Which incident continues as which group. Decided before any of them changes."""

    def __init__(self, groups: Sequence[Group], known: Known, now: datetime) -> None:
        self.unclaimed: list[Incident] = []
        self.claims: dict[int, list[Incident]] = {}
        self.returning: dict[int, Incident] = {}
        self.origins: dict[int, Incident] = {}
        self.numbers: dict[int, int] = {}
        self.parts: dict[int, str] = {}
        """By number of an incident, the incident that its first lost part becomes."""
        for incident in known.active:
            place = _place_of(incident, groups)
            (self.unclaimed if place is None else self.claims.setdefault(place, [])).append(incident)
        for claiming in self.claims.values():
            # An incident that a person closed must not swallow one that is open.
            claiming.sort(key=lambda each: (each.status == "closed", each.opened_at, each.number))
        holders = {alert: each for each in known.active for alert in (*each.explains, *each.alerts)}
        for place, group in enumerate(groups):
            if place not in self.claims:
                self._without_claim(place, group, holders, known, now)

    def _without_claim(
        self, place: int, group: Group, holders: Mapping[str, Incident], known: Known, now: datetime
    ) -> None:
        returning = _returning(group, known.ended, now)
        if returning is not None and returning not in self.returning.values():
            self.returning[place] = returning
            return
        number = self.numbers[place] = known.total + len(self.numbers) + 1
        origin = next((holders[alert.alert_id] for alert in group.causes if alert.alert_id in holders), None)
        if origin is not None and origin.ended_at is None:
            self.origins[place] = origin
            self.parts.setdefault(origin.number, f"{PREFIX}{number}")


def _place_of(incident: Incident, groups: Sequence[Group]) -> int | None:
    """The group that continues an incident: that with its cause, else that which explains its cause."""
    mine = set(incident.alerts)
    best: tuple[int, int] | None = None
    for place, group in enumerate(groups):
        causes = {alert.alert_id for alert in group.causes}
        grade = 2 if mine & causes else 1 if mine.intersection(group.explains) else 0
        if group.segment == incident.segment and grade:
            grade = 3
        if grade and (best is None or grade > best[0]):
            best = (grade, place)
    return None if best is None else best[1]


def _follow(incident: Incident, group: Group, part: str | None, now: datetime) -> Step:
    """The incident with the alerts that it has now. `part`: the incident that a part of it has become."""
    before = (incident.cause, incident.alerts, incident.explains, incident.unverified)
    _adopt(incident, group)
    if worse(incident.severity, incident.peak):
        return Step(incident, [_escalate(incident, now)])
    if before == (incident.cause, incident.alerts, incident.explains, incident.unverified):
        return Step(incident, [])
    incident.changed_at = now
    if part is not None:
        return Step(incident, [Act("changed", SYSTEM, "split", other=part)])
    return Step(incident, [Act("changed", SYSTEM, "unverified" if incident.unverified > before[3] else "regrouped")])


def _adopt(incident: Incident, group: Group) -> None:
    ids = {alert.alert_id: alert for alert in group.causes}
    # The leading alert stays the same as long as it has the cause: the figures of then belong to it.
    leading = next((ids[alert] for alert in incident.alerts[:1] if alert in ids), None) or _leading(group)
    if leading.alert_id not in incident.alerts[:1]:
        incident.then = leading.then
        incident.now = None
    others = sorted((a for a in group.causes if a is not leading), key=lambda a: (_order(a.signal), a.alert_id))
    incident.cause = leading.cause
    incident.alerts = (leading.alert_id, *(alert.alert_id for alert in others))
    incident.signals = tuple(sorted({alert.signal for alert in group.causes}, key=_order))
    incident.explains = tuple(sorted(set(group.explains) - set(incident.alerts)))
    incident.severity = worst([alert.severity for alert in group.causes])
    incident.unverified = all(alert.unverified for alert in group.causes)


def _leading(group: Group) -> AlertFacts:
    gravest = worst([alert.severity for alert in group.causes])
    return min(
        (alert for alert in group.causes if alert.severity == gravest), key=lambda a: (_order(a.signal), a.alert_id)
    )


def _escalate(incident: Incident, now: datetime) -> Act:
    """The severity is higher than ever: who has set the incident aside has to know."""
    closed = incident.status == "closed"
    incident.peak = incident.severity
    incident.changed_at = now
    if closed or incident.status == "snoozed":
        _wake(incident)
    return Act("reopened" if closed else "changed", SYSTEM, None if closed else "escalated", rises=True)


def _wake(incident: Incident) -> None:
    incident.status = incident.awake
    incident.until = incident.closing_cause = incident.ended_at = None


def _resolved(incident: Incident, now: datetime) -> list[Step]:
    if incident.ended_at is not None:
        return []
    incident.status, incident.ended_at, incident.changed_at = "resolved", now, now
    incident.until = None
    incident.unverified = False
    return [Step(incident, [Act("changed", SYSTEM, "resolved")])]


def _merged(others: Sequence[Incident], survivor: Incident, now: datetime) -> list[Step]:
    steps = []
    for other in others:
        if survivor.owner is None and other.owner is not None:
            survivor.owner = other.owner
            if survivor.status == "open":
                survivor.status = "assigned"
        other.status, other.ended_at, other.changed_at = "closed", now, now
        other.until, other.merged_into = None, survivor.incident_id
        steps.append(Step(other, [Act("changed", SYSTEM, "merged", other=survivor.incident_id)]))
        # Who was told of either has been told of this severity.
        survivor.peak = worst([survivor.peak, other.peak])
    return steps


def _returning(group: Group, ended: Sequence[Incident], now: datetime) -> Incident | None:
    """The newest incident with this cause that the evidence ended a short time ago."""
    signals = {alert.signal for alert in group.causes}
    fitting = [
        incident
        for incident in ended
        if incident.segment == group.segment
        and signals.intersection(incident.signals)
        and incident.ended_at is not None
        and now - incident.ended_at <= REOPEN_WITHIN
    ]
    return max(fitting, key=lambda incident: incident.number, default=None)


def _return(incident: Incident, group: Group, now: datetime) -> Step:
    _wake(incident)
    _adopt(incident, group)
    rises = worse(incident.severity, incident.peak)
    incident.peak = worst([incident.severity, incident.peak])
    incident.changed_at = now
    return Step(incident, [Act("reopened", SYSTEM, rises=rises)])


def _opened(number: int, group: Group, origin: str | None, now: datetime) -> Step:
    leading = _leading(group)
    made = Incident(
        number=number,
        status="open",
        cause=leading.cause,
        signals=(),
        alerts=(),
        explains=(),
        severity=leading.severity,
        peak=None,
        opened_at=now,
        changed_at=now,
        then=leading.then,
    )
    _adopt(made, group)
    made.peak = made.severity
    return Step(made, [Act("opened", SYSTEM, rises=True, other=origin)])
