"""The life of an ask: its states, how they may follow each other, and when to look for a message of unknown outcome.

No news (late, repeated or out of order) moves an ask to a state of a lower rank. The one exception leads back to `due`:
once it is certain that nothing was sent, there is a new attempt.
"""

from collections.abc import Mapping
from datetime import datetime, timedelta
from enum import StrEnum
from hashlib import sha256

from pipeline.domain.asking.eligibility import Reason


class AskState(StrEnum):
    """The state of an ask, as the table of asks stores it."""

    DUE = "due"
    SENDING = "sending"  # committed to be sent: from here on only the provider knows what happened
    UNKNOWN = "unknown"  # it may or may not have been sent: it is looked up, and never sent again
    UNRESOLVED = "unresolved"  # looked up until the last time in LOOK_AFTER, and not found
    SENT = "sent"
    FAILED = "failed"  # the provider accepted it and could not deliver it
    DELIVERED = "delivered"
    EXPIRED = "expired"  # not answered in time
    NOT_ASKED = "not_asked"
    ANSWERED = "answered"


class SendOutcome(StrEnum):
    """The outcome of the last attempt to send."""

    ACCEPTED = "accepted"
    NOT_ACCEPTED = "not_accepted"
    REJECTED = "rejected"
    UNKNOWN = "unknown"
    OPTED_OUT = "opted_out"  # or withdrew consent; before the first byte was sent
    NO_CHANNEL = "no_channel"  # the contact does not agree to this channel, or it does not exist here
    GIVEN_UP = "given_up"  # never accepted within the policy's `send_within`
    UNDELIVERABLE = "undeliverable"  # the provider reported meanwhile that nobody can be reached at the address
    TAKEN_BACK = "taken_back"  # the delivery was, before the first byte was sent
    ASKED_RECENTLY = "asked_recently"  # the address, which became the contact's after the decision
    ADDRESS_ASKED = "address_asked"  # the same, on behalf of another account


RANK: Mapping[AskState, int] = {
    AskState.DUE: 0,
    AskState.SENDING: 1,
    AskState.UNKNOWN: 2,
    AskState.UNRESOLVED: 3,
    AskState.SENT: 4,
    AskState.FAILED: 5,
    AskState.DELIVERED: 6,  # the phone's own confirmation counts more than an earlier failure
    AskState.NOT_ASKED: 7,
    AskState.EXPIRED: 8,
    AskState.ANSWERED: 9,
}
# An ask leaves these only by an answer or by a late report of the provider.
TERMINAL = frozenset({AskState.UNRESOLVED, AskState.FAILED, AskState.EXPIRED, AskState.NOT_ASKED, AskState.ANSWERED})
_ENDED = frozenset({AskState.UNRESOLVED, AskState.FAILED, AskState.NOT_ASKED})
# When to look up a message of unknown outcome, counted from the moment it was committed to be sent. The provider's list
# may lag by hours: at first, absence proves nothing.
LOOK_AFTER = (
    timedelta(minutes=1),
    timedelta(minutes=5),
    timedelta(minutes=15),
    timedelta(hours=1),
    timedelta(hours=4),
    timedelta(hours=24),
)
LOOK_AGAIN = timedelta(hours=1)  # after the last lookup if it failed: a failed lookup proves nothing


def before(new: AskState) -> frozenset[AskState]:
    """The states that `new` may follow. Only a question that was asked can expire, so expiry hides no earlier end."""
    lower = frozenset(state for state in AskState if RANK[state] < RANK[new])
    return lower - _ENDED if new is AskState.EXPIRED else lower


def loss(state: AskState, outcome: SendOutcome | None) -> Reason | None:
    """The reason why a due ask was not sent; None: it was sent, or may still be."""
    if state is AskState.UNRESOLVED:
        return Reason.UNRESOLVED
    if state is not AskState.NOT_ASKED:
        return None
    return _LOSSES.get(outcome, Reason.NOT_SENT) if outcome is not None else Reason.NOT_SENT


_LOSSES = {
    SendOutcome.OPTED_OUT: Reason.OPTED_OUT,
    SendOutcome.NO_CHANNEL: Reason.NO_CHANNEL,
    SendOutcome.REJECTED: Reason.REJECTED,
    SendOutcome.UNDELIVERABLE: Reason.UNDELIVERABLE,
    SendOutcome.TAKEN_BACK: Reason.DELIVERY_TAKEN_BACK,
    SendOutcome.ASKED_RECENTLY: Reason.ASKED_RECENTLY,
    SendOutcome.ADDRESS_ASKED: Reason.ADDRESS_ASKED_RECENTLY,
}
# An ask that ended this way may become due once more: for certain nothing was sent, and its reason may pass.
REOPENED = frozenset({SendOutcome.TAKEN_BACK, SendOutcome.NO_CHANNEL, SendOutcome.UNDELIVERABLE})

# The provider refused the message for good, and nothing was sent: the question may go out on another channel.
REFUSED_FOR_GOOD = frozenset({SendOutcome.REJECTED, SendOutcome.UNDELIVERABLE})


def next_look(sending_at: datetime, now: datetime) -> datetime | None:
    """When to look up a message of unknown outcome next; None: the lookup at `now` is the last."""
    return next((sending_at + after for after in LOOK_AFTER if sending_at + after > now), None)


def hashed(token: str) -> str:
    """The hash under which the token of a link or a callback is stored: the database never holds the token itself."""
    return sha256(token.encode()).hexdigest()
