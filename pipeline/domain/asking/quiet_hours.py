"""Quiet hours: when a message may go out, in whatever time zones the recipient may live."""

from collections.abc import Collection, Iterator
from datetime import UTC, date, datetime, time, timedelta
from functools import lru_cache
from zoneinfo import ZoneInfo

from pipeline.domain.asking.channels import MAX_QUEUE_TIME
from pipeline.domain.asking.policy import Policy
from pipeline.domain.events.times import zone

MIN_VALIDITY = timedelta(minutes=2)  # a message that may wait for less than this is not sent before quiet hours
_HORIZON = timedelta(days=3)  # far enough to find the next open hour wherever there is one
_MINUTE = timedelta(minutes=1)


def zones_of(recipient: str | None, order: str | None, policy: Policy) -> frozenset[str]:
    """The zones whose quiet hours apply to a recipient: their own, else the order's, else the policy's."""
    known = recipient or order
    return frozenset({known}) if known is not None else policy.zones


def due_at(
    happened_at: datetime, now: datetime, zones: Collection[str], policy: Policy, wait: timedelta | None = None
) -> datetime | None:
    """When to ask about an event: after the wait (None: the policy's), outside quiet hours. None: there is no time."""
    return open_from(max(now, happened_at + (policy.ask_after if wait is None else wait)), zones, policy)


def open_from(moment: datetime, zones: Collection[str], policy: Policy) -> datetime | None:
    """The first instant from `moment` on at which a message may be sent, UTC; None if there is none within 3 days."""
    if _may_go(moment, zones, policy):
        return moment
    return next((edge for edge in _edges(moment, zones, policy) if _may_go(edge, zones, policy)), None)


def validity(
    now: datetime, zones: Collection[str], policy: Policy, longest: timedelta = MAX_QUEUE_TIME
) -> timedelta | None:
    """How long a message may wait in the provider's queue: at most `longest`, and never into quiet hours.

    None: it must not be sent now.
    """
    return _validity(now, frozenset(zones), policy, longest)


@lru_cache(maxsize=256)  # many asks are due at one moment, and their recipients live in few zones
def _validity(now: datetime, zones: frozenset[str], policy: Policy, longest: timedelta) -> timedelta | None:
    until = _quiet_from(now, zones, policy)
    if until is None:
        return longest
    left = min(until - now, longest)
    return left if left >= MIN_VALIDITY else None


def quiet(moment: datetime, name: str, policy: Policy) -> bool:
    """Whether `moment` is within quiet hours in that zone. They may cross midnight; equal ends mean no quiet hours."""
    at = moment.astimezone(zone(name)).time()
    begin, end = policy.quiet_from, policy.quiet_until
    if begin <= end:
        return begin <= at < end
    return at >= begin or at < end


def _may_go(moment: datetime, zones: Collection[str], policy: Policy) -> bool:
    return validity(moment, zones, policy) is not None


def _quiet_from(moment: datetime, zones: Collection[str], policy: Policy) -> datetime | None:
    """The first instant from `moment` on that is quiet in any zone; None: none within 3 days."""
    edges = (moment, *_edges(moment, zones, policy))
    return next((edge for edge in edges if any(quiet(edge, name, policy) for name in zones)), None)


def _edges(moment: datetime, zones: Collection[str], policy: Policy) -> list[datetime]:
    """Every instant after `moment` at which quiet hours may begin or end in any zone, sorted."""
    hours = (policy.quiet_from, policy.quiet_until)
    found = {edge for where in map(zone, zones) for edge in _edges_of(moment.astimezone(where).date(), where, *hours)}
    return sorted(edge for edge in found if moment < edge <= moment + _HORIZON)


@lru_cache(maxsize=1024)  # computing them for every question would cost more than the rest of its processing
def _edges_of(day: date, where: ZoneInfo, *hours: time) -> tuple[datetime, ...]:
    """The instants at which quiet hours may begin or end in one zone, for any moment of `day` there."""
    found = [*_clock_changes(day, where)]
    for n in range(-1, _HORIZON.days + 2):
        for at in hours:
            for fold in (0, 1):  # an hour that comes twice has both its edges twice
                local = datetime.combine(day + timedelta(days=n), at, where).replace(fold=fold)
                found.append(local.astimezone(UTC))
    return tuple(found)


def _clock_changes(day: date, where: ZoneInfo) -> Iterator[datetime]:
    """The clock changes within the horizon: the local time jumps, perhaps into quiet hours or out of them."""
    low, step = datetime.combine(day, time(), UTC) - timedelta(days=1), timedelta(days=1)
    for _ in range(_HORIZON.days + 3):
        begin, end = low, low + step
        low = end
        if _offset(begin, where) == _offset(end, where):
            continue
        while end - begin > _MINUTE:
            middle = begin + (end - begin) // 2 // _MINUTE * _MINUTE
            begin, end = (middle, end) if _offset(middle, where) == _offset(begin, where) else (begin, middle)
        yield end


def _offset(moment: datetime, where: ZoneInfo) -> timedelta | None:
    return moment.astimezone(where).utcoffset()


def parse_hours(text: str) -> tuple[time, time]:
    """Parse quiet hours as settings have them, such as "20:00-08:00". Raises ValueError."""
    begin, dash, end = text.partition("-")
    try:
        if not dash:
            raise ValueError
        return time.fromisoformat(begin.strip()), time.fromisoformat(end.strip())
    except ValueError:
        raise ValueError(f"{text!r} is no pair of times such as 20:00-08:00") from None
