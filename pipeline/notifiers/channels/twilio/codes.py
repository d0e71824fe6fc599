"""Twilio's error codes, as far as something different follows from them. The whole list: twilio.com/docs/api/errors.

A code that is not here is treated by where it came: in an answer of 400 to 499 the message is refused for good, in a
status callback its delivery failed.
"""

from collections.abc import Mapping
from typing import Literal, NamedTuple

from pipeline.domain.asking.ask_states import State

Then = Literal["opted_out", "invalid", "blocked", "later", "mend", "failed"]


class Code(NamedTuple):
    """What a code means, what we do, and what a person may do about it.

    `opted_out`: recorded, never written to again. `invalid`: this number cannot be reached. `blocked`: this message or
    route is refused. `later`: nothing was sent, we try again soon. `mend`: nothing was sent because of how the account
    is set up; we try again later, and somebody has to mend it. `failed`: Twilio took it and could not deliver it.
    """

    then: Then
    meaning: str
    next_step: str


_MEND_KEY = "check UNVARNISHED_TWILIO_ACCOUNT_SID and the token or key, then restart"
_MEND_SENDER = "check UNVARNISHED_TWILIO_MESSAGING_SERVICE or UNVARNISHED_TWILIO_FROM"
_NUMBER = "correct the contact's number in the system it comes from"
_NOTHING = "nothing: single failures are normal; look closer when their share grows"

CODES: Mapping[int, Code] = {
    # answers to a request
    20001: Code("blocked", "a parameter is wrong", "report it: we sent something Twilio does not understand"),
    20003: Code("mend", "the credentials are wrong", _MEND_KEY),
    20005: Code("mend", "the account is not active", "log in to the Twilio console; the account may be suspended"),
    20404: Code("mend", "the account or service does not exist", f"{_MEND_KEY}; {_MEND_SENDER}"),
    20429: Code("later", "too many requests at once", "nothing; if it lasts, ask Twilio for a higher rate"),
    21211: Code("invalid", "not a valid number", _NUMBER),
    21212: Code("mend", "the sender is not a valid number", _MEND_SENDER),
    21217: Code("invalid", "not a number that can exist", _NUMBER),
    21265: Code("invalid", "a short code cannot be written to", _NUMBER),
    21266: Code("invalid", "the sender's own number", _NUMBER),
    21408: Code("mend", "messages to this country are not enabled", "enable the country in Twilio's geo permissions"),
    21603: Code("mend", "no sender was named", _MEND_SENDER),
    21604: Code("invalid", "no recipient was named", _NUMBER),
    21606: Code("mend", "the sender cannot send messages to there", _MEND_SENDER),
    21608: Code("blocked", "a trial account may only write to verified numbers", "upgrade the account"),
    21609: Code("mend", "the status callback's address is not valid", "check UNVARNISHED_PUBLIC_URL"),
    21610: Code("opted_out", "the person replied STOP to this sender", "nothing: it is their right"),
    21611: Code("later", "the sender's queue is full", "add senders to the messaging service"),
    21612: Code("blocked", "there is no route from this sender to that number", "add a sender for that country"),
    21614: Code("invalid", "not a mobile number", _NUMBER),
    21617: Code("blocked", "the text is longer than 1,600 characters", "report it: our texts are short"),
    21635: Code("invalid", "a landline cannot receive messages", _NUMBER),
    21703: Code("mend", "the messaging service has no sender", "add a sender to the service"),
    21704: Code("mend", "the messaging service has no sender", "add a sender to the service"),
    21705: Code("mend", "the messaging service is not valid", _MEND_SENDER),
    # reasons of a failed delivery
    30001: Code("failed", "the queue overflowed", "spread the load, or add senders"),
    30002: Code("failed", "the account was suspended meanwhile", "log in to the Twilio console"),
    30003: Code("failed", "the phone is off or out of reach", _NOTHING),
    30004: Code("failed", "the person or the carrier blocks messages", "ask the account for another contact"),
    30005: Code("failed", "the number is not in service", _NUMBER),
    30006: Code("failed", "a landline, or a carrier that cannot be reached", _NUMBER),
    30007: Code("failed", "filtered as unwanted", "register the sender; see Twilio's guide on filtering"),
    30008: Code("failed", "no reason given", _NOTHING),
    30010: Code("failed", "dearer than the price limit", "raise the limit"),
    30022: Code("failed", "more than this sender may send", "raise the registered volume"),
    30034: Code("failed", "the sender is not registered for this country", "register it (A2P 10DLC in the USA)"),
    30036: Code("failed", "it lay in the queue past its validity", "add senders: the queue is too slow"),
    30410: Code("failed", "the carrier's network timed out", _NOTHING),
}

# Message statuses, by how far they bring an ask. Others (of inbound messages) say nothing about it.
STATUSES: Mapping[str, State] = {
    "accepted": State.SENT,
    "scheduled": State.SENT,
    "queued": State.SENT,
    "sending": State.SENT,
    "sent": State.SENT,
    "delivered": State.DELIVERED,
    "read": State.DELIVERED,
    "undelivered": State.FAILED,
    "failed": State.FAILED,
    "canceled": State.FAILED,
}


def known(code: int | None) -> Code | None:
    """What is known of a code."""
    return None if code is None else CODES.get(code)


def means_opted_out(code: int | None) -> bool:
    """Whether it tells that the person wants no messages."""
    found = known(code)
    return found is not None and found.then == "opted_out"
