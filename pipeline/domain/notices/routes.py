"""The stages before sending, as decisions: route, mute, deduplicate. Each decision has a reason that can be shown."""

from collections.abc import Mapping, Sequence
from datetime import datetime, time, timedelta
from enum import StrEnum

from msgspec import Struct

from pipeline.domain.access.scopes import Scope
from pipeline.domain.events.incidents import Severity
from pipeline.domain.events.times import zone
from pipeline.domain.notices.notice import Change, Notice

_DAY = timedelta(days=1)
_WEEK = range(8)  # today and the seven days after it


class Muted(StrEnum):
    """Why a notice does not go to a receiver."""

    NO_ROUTE = "no_route"
    OUT_OF_SCOPE = "out_of_scope"
    NOT_NOTABLE = "not_notable"
    SNOOZED = "snoozed"
    ONLY_ONCE = "only_once"
    NEVER_TOLD = "never_told"
    OUTDATED = "outdated"


class Hours(Struct, frozen=True):
    """When a route sends: from `begins` to `ends` (local, may cross midnight), on these weekdays (Monday is 0)."""

    begins: time
    ends: time
    timezone: str
    weekdays: frozenset[int]

    def opening(self, moment: datetime) -> datetime:
        """The first instant from `moment` on at which the route sends, in UTC."""
        return moment if self._is_open(moment) else self.next_start(moment)

    def next_start(self, moment: datetime) -> datetime:
        """The next instant after `moment` at which it begins, in the zone of `moment`."""
        local = moment.astimezone(zone(self.timezone))
        starts = (_at(local, day, self.begins) for day in _WEEK if (local.weekday() + day) % 7 in self.weekdays)
        return next(start for start in starts if start > moment).astimezone(moment.tzinfo)

    def _is_open(self, moment: datetime) -> bool:
        local = moment.astimezone(zone(self.timezone))
        at, today = local.time(), local.weekday()
        if self.begins < self.ends:
            return today in self.weekdays and self.begins <= at < self.ends
        if at >= self.begins:
            return today in self.weekdays
        return at < self.ends and (today - 1) % 7 in self.weekdays  # the window began yesterday


class Route(Struct, frozen=True, kw_only=True):
    """Which notices go to which receivers. None: everything. `digest_at`: collected, and sent together at that time."""

    receivers: tuple[str, ...]
    scope: Scope = Scope()
    severities: frozenset[Severity] | None = None
    signals: frozenset[str] | None = None
    segments: Mapping[str, frozenset[str]] | None = None
    changes: frozenset[Change] | None = None
    hours: Hours | None = None
    digest_at: Hours | None = None
    once: bool = False

    def matches(self, notice: Notice) -> bool:
        """Whether the notice's severity, signals and segment are among those of the route."""
        data = notice.data
        return (
            (self.severities is None or data.severity in self.severities)
            and (self.signals is None or not self.signals.isdisjoint({data.cause.signal, *data.signals}))
            and (self.segments is None or data.cause.value in self.segments.get(data.cause.dimension, ()))
        )


class Traits(Struct, frozen=True):
    """What kind of receiver it is. `every_change`: it gets each change in its order, otherwise what matters to people.

    `keeps_state`: it is given the present state of an incident, so it needs every change, of which the newest counts.
    """

    every_change: bool = False
    keeps_state: bool = False


class Told(Struct, frozen=True):
    """What a receiver knows of an incident. `routed`: a notice is on its way. `act`: the newest delivered; 0: none."""

    routed: bool = False
    act: int = 0


class Send(Struct, frozen=True):
    """Send the notice from `at` on, or collect it in the digest of that time."""

    at: datetime
    digest: bool = False


Decision = Send | Muted


def decide(
    notice: Notice, receiver: str, traits: Traits, routes: Sequence[Route], told: Told, now: datetime
) -> tuple[Decision, Route | None]:
    """What to do about a notice for one receiver, and by which of the routes: the first that matches."""
    for_receiver = [route for route in routes if receiver in route.receivers]
    visible = [
        route
        for route in for_receiver
        if route.scope.sees_segment(notice.data.cause.dimension, notice.data.cause.value)
    ]
    if not visible:
        return (Muted.OUT_OF_SCOPE if for_receiver else Muted.NO_ROUTE), None
    # Who was told of an incident is told of what follows, whatever severity it has then.
    route = next((each for each in visible if each.matches(notice)), visible[0] if told.routed else None)
    if route is None:
        return Muted.NO_ROUTE, None
    return (_muted(notice, traits, route, told) or _send_at(route, now)), route


def _muted(notice: Notice, traits: Traits, route: Route, told: Told) -> Muted | None:
    if not _wanted(notice, traits, route):
        return Muted.NOT_NOTABLE
    if told.routed and route.once:
        return Muted.ONLY_ONCE
    if traits.every_change or traits.keeps_state:
        return None
    if notice.is_snoozed and not notice.data.rises:
        return Muted.SNOOZED
    return Muted.NEVER_TOLD if notice.ends and not told.routed else None


def _wanted(notice: Notice, traits: Traits, route: Route) -> bool:
    if route.changes is not None and not traits.keeps_state:
        return notice.change in route.changes
    return traits.every_change or traits.keeps_state or notice.notable


def _send_at(route: Route, now: datetime) -> Send:
    if route.digest_at is not None:
        return Send(route.digest_at.next_start(now), digest=True)
    return Send(now if route.hours is None else route.hours.opening(now))


def _at(local: datetime, days: int, hour: time) -> datetime:
    return datetime.combine(local.date() + days * _DAY, hour, local.tzinfo)
