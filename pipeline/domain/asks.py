"""The life of an ask: its states and how they may follow each other, when it may go out, and how long it is looked for.

No state is ever left for one of a lower rank, however late, doubled or disordered the news comes. The one way back is
to `due`, for the definite word that nothing was sent, and that is a new attempt.
"""

from collections.abc import Collection, Iterator, Mapping
from dataclasses import dataclass
from datetime import UTC, date, datetime, time, timedelta
from enum import StrEnum
from functools import lru_cache
from hashlib import sha256
from zoneinfo import ZoneInfo

from pipeline.domain.eligibility import Policy, Reason
from pipeline.domain.times import zone


class State(StrEnum):
    """Where an ask stands."""

    DUE = "due"
    SENDING = "sending"  # committed to be sent: from here on only the provider's word tells what happened
    UNKNOWN = "unknown"  # it may or may not have been sent; being looked for, never sent again
    UNRESOLVED = "unresolved"  # looked for long enough and not found
    SENT = "sent"
    FAILED = "failed"  # the provider took it and could not deliver it
    DELIVERED = "delivered"
    EXPIRED = "expired"  # nobody answered in time
    NOT_ASKED = "not_asked"
    ANSWERED = "answered"


class Outcome(StrEnum):
    """What is known of the last attempt to send."""

    ACCEPTED = "accepted"
    NOT_ACCEPTED = "not_accepted"
    REJECTED = "rejected"
    UNKNOWN = "unknown"
    OPTED_OUT = "opted_out"  # before the first byte left
    GIVEN_UP = "given_up"  # never accepted within the policy's `send_within`


RANK: Mapping[State, int] = {
    State.DUE: 0,
    State.SENDING: 1,
    State.UNKNOWN: 2,
    State.UNRESOLVED: 3,
    State.SENT: 4,
    State.FAILED: 5,
    State.DELIVERED: 6,  # the phone's own word stands against an earlier failure
    State.NOT_ASKED: 7,
    State.EXPIRED: 8,
    State.ANSWERED: 9,
}
# Where an ask stays unless an answer, or a late word of the provider, says better.
TERMINAL = frozenset({State.UNRESOLVED, State.FAILED, State.EXPIRED, State.NOT_ASKED, State.ANSWERED})
_ENDED = frozenset({State.UNRESOLVED, State.FAILED, State.NOT_ASKED})

# When to look for a message of unknown outcome, counted from the moment it was committed to be sent. The provider's
# list may lag by hours: that it is absent proves nothing at first.
LOOK_AFTER = (
    timedelta(minutes=1),
    timedelta(minutes=5),
    timedelta(minutes=15),
    timedelta(hours=1),
    timedelta(hours=4),
    timedelta(hours=24),
)
LOOK_AGAIN = timedelta(hours=1)  # when the last look itself failed: nothing may be concluded from that
MAX_VALIDITY = timedelta(hours=4)  # older than that, the question is not of the moment any more
MIN_VALIDITY = timedelta(minutes=2)  # a message that could lie in the queue for less is not sent before quiet hours
_HORIZON = timedelta(days=3)  # far enough to find the next open hour wherever there is one
_MINUTE = timedelta(minutes=1)


def before(new: State) -> frozenset[State]:
    """The states that may be left for `new`. Expiry is of questions that were put: it does not hide an earlier end."""
    lower = frozenset(state for state in State if RANK[state] < RANK[new])
    return lower - _ENDED if new is State.EXPIRED else lower


def loss(state: State, outcome: Outcome | None) -> Reason | None:
    """Why an ask that was to be sent was not put to anybody; None: it was, or may still be."""
    if state is State.UNRESOLVED:
        return Reason.UNRESOLVED
    if state is not State.NOT_ASKED:
        return None
    return _LOSSES.get(outcome, Reason.NOT_SENT) if outcome is not None else Reason.NOT_SENT


_LOSSES = {Outcome.OPTED_OUT: Reason.OPTED_OUT, Outcome.REJECTED: Reason.REJECTED}


def next_look(sending_at: datetime, now: datetime) -> datetime | None:
    """When a message of unknown outcome is looked for next; None: a look at `now` is the last."""
    return next((sending_at + after for after in LOOK_AFTER if sending_at + after > now), None)


@dataclass(frozen=True)
class Go:
    """Send it: it may wait in the provider's queue for `valid_for`."""

    valid_for: timedelta


@dataclass(frozen=True)
class Wait:
    """Not now: look at it again at `until`."""

    until: datetime


@dataclass(frozen=True)
class End:
    """Never: this is what became of it."""

    outcome: Outcome


@dataclass(frozen=True)
class Standing:
    """What is known of an ask that is due at the moment of sending it.

    `willing`: there is consent still, and no opt-out; `reachable`: there is an address and a channel that serves it.
    """

    decided_at: datetime
    willing: bool
    reachable: bool
    zones: frozenset[str]


def before_sending(ask: Standing, policy: Policy, now: datetime) -> Go | Wait | End:
    """What to do with an ask that is due. Everything is checked again: much may have happened since the decision."""
    if not ask.willing:
        return End(Outcome.OPTED_OUT)
    give_up_at = ask.decided_at + policy.send_within
    if now >= give_up_at:
        return End(Outcome.GIVEN_UP)
    if not ask.reachable:
        return Wait(give_up_at)
    valid_for = validity(now, ask.zones, policy)
    if valid_for is not None:
        return Go(valid_for)
    return Wait(open_from(now, ask.zones, policy) or give_up_at)


def zones_of(recipient: str | None, order: str | None, policy: Policy) -> frozenset[str]:
    """The zones whose quiet hours hold for somebody: their own, else the order's, else wherever they may live."""
    known = recipient or order
    return frozenset({known}) if known is not None else policy.zones


def due_at(happened_at: datetime, now: datetime, zones: Collection[str], policy: Policy) -> datetime | None:
    """When to ask about what happened: after the wait, outside quiet hours. None: every hour is quiet for somebody."""
    return open_from(max(now, happened_at + policy.ask_after), zones, policy)


def open_from(moment: datetime, zones: Collection[str], policy: Policy) -> datetime | None:
    """The first instant from `moment` on at which a message may be sent, UTC; None if there is none in sight."""
    if _may_go(moment, zones, policy):
        return moment
    return next((edge for edge in _edges(moment, zones, policy) if _may_go(edge, zones, policy)), None)


def validity(now: datetime, zones: Collection[str], policy: Policy) -> timedelta | None:
    """How long a message may wait in the provider's queue: it ends before quiet hours begin. None: not now."""
    return _validity(now, frozenset(zones), policy)


@lru_cache(maxsize=256)  # many asks are looked at in one moment, and live in few zones
def _validity(now: datetime, zones: frozenset[str], policy: Policy) -> timedelta | None:
    until = _quiet_from(now, zones, policy)
    if until is None:
        return MAX_VALIDITY
    left = min(until - now, MAX_VALIDITY)
    return left if left >= MIN_VALIDITY else None


def hashed(token: str) -> str:
    """A link's or a callback's token as it is kept: whoever reads the database can open nothing with it."""
    return sha256(token.encode()).hexdigest()


def quiet(moment: datetime, name: str, policy: Policy) -> bool:
    """Whether it is quiet hours in that zone. They may pass midnight; if they begin and end alike there are none."""
    at = moment.astimezone(zone(name)).time()
    begin, end = policy.quiet_from, policy.quiet_until
    if begin <= end:
        return begin <= at < end
    return at >= begin or at < end


def _may_go(moment: datetime, zones: Collection[str], policy: Policy) -> bool:
    return validity(moment, zones, policy) is not None


def _quiet_from(moment: datetime, zones: Collection[str], policy: Policy) -> datetime | None:
    """The first instant from `moment` on that is quiet for somebody; None: none is in sight."""
    edges = (moment, *_edges(moment, zones, policy))
    return next((edge for edge in edges if any(quiet(edge, name, policy) for name in zones)), None)


def _edges(moment: datetime, zones: Collection[str], policy: Policy) -> list[datetime]:
    """Every instant behind `moment` at which quiet hours may begin or end somewhere, in order."""
    hours = (policy.quiet_from, policy.quiet_until)
    found = {edge for where in map(zone, zones) for edge in _edges_of(moment.astimezone(where).date(), where, *hours)}
    return sorted(edge for edge in found if moment < edge <= moment + _HORIZON)


@lru_cache(maxsize=1024)  # worked out anew for every question they would cost more than everything else about it
def _edges_of(day: date, where: ZoneInfo, *hours: time) -> tuple[datetime, ...]:
    """Those of a zone, for every moment of a day there."""
    found = [*_clock_changes(day, where)]
    for n in range(-1, _HORIZON.days + 2):
        for at in hours:
            for fold in (0, 1):  # an hour that comes twice has both its edges twice
                local = datetime.combine(day + timedelta(days=n), at, where).replace(fold=fold)
                found.append(local.astimezone(UTC))
    return tuple(found)


def _clock_changes(day: date, where: ZoneInfo) -> Iterator[datetime]:
    """Where the clocks are changed within the horizon: the time of day jumps, perhaps into quiet hours or out."""
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
    """Quiet hours as settings say them, "20:00-08:00". Raises ValueError."""
    begin, dash, end = text.partition("-")
    try:
        if not dash:
            raise ValueError
        return time.fromisoformat(begin.strip()), time.fromisoformat(end.strip())
    except ValueError:
        raise ValueError(f"{text!r} is no pair of times such as 20:00-08:00") from None
