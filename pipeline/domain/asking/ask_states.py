"""The life of an ask: its states and how they may follow each other, when it may go out, and how long it is looked for.

No state is ever left for one of a lower rank, however late, doubled or disordered the news comes. The one way back is
to `due`, for the definite word that nothing was sent, and that is a new attempt.
"""

from collections.abc import Mapping
from datetime import datetime, timedelta
from enum import StrEnum
from hashlib import sha256

from pipeline.domain.asking.eligibility import Reason


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


def hashed(token: str) -> str:
    """A link's or a callback's token as it is kept: whoever reads the database can open nothing with it."""
    return sha256(token.encode()).hexdigest()
