"""Quiet time: when a message may go out, by the hours and closed days of every place where the recipient may be.

Quiet are the quiet hours of each day, and all hours of a closed day (a public holiday, a Sunday in France).
"""

from collections.abc import Collection, Iterator
from datetime import UTC, date, datetime, time, timedelta
from functools import lru_cache
from zoneinfo import ZoneInfo

from pipeline.domain.asking.calendars import Place
from pipeline.domain.asking.channels import MAX_QUEUE_TIME
from pipeline.domain.asking.policy import Policy
from pipeline.domain.events.contract import Contact
from pipeline.domain.events.times import zone

MIN_VALIDITY = timedelta(minutes=2)  # a message that may wait for less than this is not sent before quiet time
MAX_CLOSED = timedelta(days=14)  # longer than the longest row of closed days; a question waits for no more of them
_DAYS = 3  # far enough to find the next open hour wherever there is one, if no day is closed
_MINUTE = timedelta(minutes=1)
_HOUR = timedelta(hours=1)


def places_of(contact: Contact | None, order_zone: str | None, policy: Policy) -> frozenset[Place]:
    """The places whose quiet time applies to a recipient, all of them.

    Zone: the contact's, else the order's, else each of the policy's. Country: the contact's, else that of the zone.
    """
    known = (contact.timezone if contact is not None else None) or order_zone
    zones = policy.zones if known is None else {known}
    country = contact.country if contact is not None else None
    return frozenset(Place(name, country or _country_of(name, policy)) for name in zones)


def _country_of(zone_name: str, policy: Policy) -> str | None:
    return None if policy.calendar is None else policy.calendar.country_of(zone_name)


def due_at(
    happened_at: datetime, now: datetime, places: Collection[Place], policy: Policy, wait: timedelta | None = None
) -> datetime | None:
    """When to ask about an event: after the wait (None: the policy's), outside quiet time. None: there is no time."""
    return open_from(max(now, happened_at + (policy.ask_after if wait is None else wait)), places, policy)


def open_from(moment: datetime, places: Collection[Place], policy: Policy) -> datetime | None:
    """The first instant from `moment` on at which a message may be sent, UTC.

    None if there is none within 3 days, or within 17 if days can be closed.
    """
    if _may_go(moment, places, policy):
        return moment
    days = _DAYS if policy.calendar is None else _DAYS + MAX_CLOSED.days
    return next((edge for edge in _edges(moment, places, policy, days) if _may_go(edge, places, policy)), None)


def give_up_at(since: datetime, places: Collection[Place], policy: Policy) -> datetime:
    """The end of the time to send, `Policy.send_within` from `since` on, UTC.

    Hours of closed days are not counted (at most 14 days of them): a long weekend gives no question up.
    """
    end = since + policy.send_within
    if policy.calendar is None:
        return end
    moment, latest = since, end + MAX_CLOSED
    while moment <= end < latest:
        if any(_closed(moment, place, policy) for place in places):
            end += _HOUR
        moment += _HOUR
    return end


def validity(
    now: datetime, places: Collection[Place], policy: Policy, longest: timedelta = MAX_QUEUE_TIME
) -> timedelta | None:
    """How long a message may wait in the provider's queue: at most `longest`, and never into quiet time.

    None: it must not be sent now.
    """
    return _validity(now, frozenset(places), policy, longest)


@lru_cache(maxsize=256)  # many asks are due at one moment, and their recipients are in few places
def _validity(now: datetime, places: frozenset[Place], policy: Policy, longest: timedelta) -> timedelta | None:
    until = _quiet_from(now, places, policy)
    if until is None:
        return longest
    left = min(until - now, longest)
    return left if left >= MIN_VALIDITY else None


def quiet(moment: datetime, place: Place, policy: Policy) -> bool:
    """Whether `moment` is on a closed day or within quiet hours in that place.

    Quiet hours may cross midnight; equal ends mean no quiet hours.
    """
    if _closed(moment, place, policy):
        return True
    at = moment.astimezone(zone(place.zone)).time()
    begin, end = policy.quiet_from, policy.quiet_until
    if begin <= end:
        return begin <= at < end
    return at >= begin or at < end


def _closed(moment: datetime, place: Place, policy: Policy) -> bool:
    """Whether `moment` is on a closed day of the place's country, by its local date."""
    if policy.calendar is None or place.country is None:
        return False
    return policy.calendar.is_closed(place.country, moment.astimezone(zone(place.zone)).date())


def _may_go(moment: datetime, places: Collection[Place], policy: Policy) -> bool:
    return validity(moment, places, policy) is not None


def _quiet_from(moment: datetime, places: Collection[Place], policy: Policy) -> datetime | None:
    """The first instant from `moment` on that is quiet in any place; None: none within 3 days."""
    if any(quiet(moment, place, policy) for place in places):
        return moment
    edges = _edges(moment, places, policy, _DAYS)
    return next((edge for edge in edges if any(quiet(edge, place, policy) for place in places)), None)


def _edges(moment: datetime, places: Collection[Place], policy: Policy, days: int) -> list[datetime]:
    """Every instant in the `days` after `moment` at which quiet time may begin or end in any place, sorted."""
    midnight = () if policy.calendar is None else (time(),)
    hours = (policy.quiet_from, policy.quiet_until, *midnight)
    zones = {zone(place.zone) for place in places}
    found = {edge for where in zones for edge in _edges_of(moment.astimezone(where).date(), days, where, *hours)}
    return sorted(edge for edge in found if moment < edge <= moment + timedelta(days=days))


@lru_cache(maxsize=1024)  # computing them for every question would cost more than the rest of its processing
def _edges_of(day: date, days: int, where: ZoneInfo, *hours: time) -> tuple[datetime, ...]:
    """The instants at which quiet time may begin or end in one zone, in the `days` after any moment of `day` there."""
    found = [*_clock_changes(day, days, where)]
    for n in range(-1, days + 2):
        for at in hours:
            for fold in (0, 1):  # an hour that comes twice has both its edges twice
                local = datetime.combine(day + timedelta(days=n), at, where).replace(fold=fold)
                found.append(local.astimezone(UTC))
    return tuple(found)


def _clock_changes(day: date, days: int, where: ZoneInfo) -> Iterator[datetime]:
    """The clock changes in these days: the local time jumps, perhaps into quiet time or out of it."""
    low, step = datetime.combine(day, time(), UTC) - timedelta(days=1), timedelta(days=1)
    for _ in range(days + 3):
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
