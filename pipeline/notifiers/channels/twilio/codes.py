"""Twilio's error codes and message statuses that the product acts on. All codes: twilio.com/docs/api/errors.

A code that is not listed here is treated by its origin: in a response of 400 to 499 the message is refused for good, in
a status callback its delivery failed.
"""

from collections.abc import Mapping
from typing import Literal, NamedTuple

from pipeline.domain.asking.ask_states import AskState

Action = Literal["opted_out", "invalid", "unreachable", "blocked", "retry", "fix_setup", "failed"]


class Code(NamedTuple):
    """An error code: what the product does, what the code means, and what an operator can do.

    `opted_out`: the opt-out is recorded. `invalid`: this number cannot be reached, and rests. `unreachable`: Twilio
    accepted the message, and this number rests, too. `blocked`: this message or route is refused. `retry`: nothing was
    sent; the next attempt is soon. `fix_setup`: nothing was sent because the account is set up wrongly; the next
    attempt is later, after an operator had time to correct it. `failed`: Twilio accepted the message and could not
    deliver it this time.
    """

    action: Action
    meaning: str
    next_step: str


_CHECK_KEY = "check UNVARNISHED_TWILIO_ACCOUNT_SID and the token or key, then restart"
_CHECK_SENDER = "check UNVARNISHED_TWILIO_MESSAGING_SERVICE or UNVARNISHED_TWILIO_FROM"
_NUMBER = "correct the contact's number in the system it comes from"
_NOTHING = "nothing: single failures are normal; investigate when their share grows"

CODES: Mapping[int, Code] = {
    # responses to a request
    20001: Code("blocked", "a parameter is wrong", "report it: the request is not one that Twilio accepts"),
    20003: Code("fix_setup", "the credentials are wrong", _CHECK_KEY),
    20005: Code("fix_setup", "the account is not active", "log in to the Twilio console; the account may be suspended"),
    20404: Code("fix_setup", "the account or service does not exist", f"{_CHECK_KEY}; {_CHECK_SENDER}"),
    20429: Code("retry", "too many requests at once", "nothing; if it lasts, ask Twilio for a higher rate"),
    21211: Code("invalid", "not a valid number", _NUMBER),
    21212: Code("fix_setup", "the sender is not a valid number", _CHECK_SENDER),
    21217: Code("invalid", "not a number that can exist", _NUMBER),
    21265: Code("invalid", "a short code cannot receive messages", _NUMBER),
    21266: Code("invalid", "the sender's own number", _NUMBER),
    21408: Code(
        "fix_setup", "messages to this country are not enabled", "enable the country in Twilio's geo permissions"
    ),
    21603: Code("fix_setup", "no sender was named", _CHECK_SENDER),
    21604: Code("blocked", "no recipient was named", _NUMBER),
    21606: Code("fix_setup", "the sender cannot send messages to there", _CHECK_SENDER),
    21608: Code("blocked", "a trial account may only send to verified numbers", "upgrade the account"),
    21609: Code("fix_setup", "the status callback's address is not valid", "check UNVARNISHED_PUBLIC_URL"),
    21610: Code("opted_out", "the recipient replied STOP to this sender", "nothing: the opt-out is respected"),
    21611: Code("retry", "the sender's queue is full", "add senders to the messaging service"),
    21612: Code("blocked", "there is no route from this sender to that number", "add a sender for that country"),
    21614: Code("invalid", "not a mobile number", _NUMBER),
    21617: Code("blocked", "the text is longer than 1,600 characters", "report it: our texts are short"),
    21635: Code("invalid", "a landline cannot receive messages", _NUMBER),
    21703: Code("fix_setup", "the messaging service has no sender", "add a sender to the service"),
    21704: Code("fix_setup", "the messaging service has no sender", "add a sender to the service"),
    21705: Code("fix_setup", "the messaging service is not valid", _CHECK_SENDER),
    # reasons of a failed delivery
    30001: Code("failed", "the queue overflowed", "spread the load, or add senders"),
    30002: Code("failed", "the account was suspended after the request", "log in to the Twilio console"),
    30003: Code("failed", "the phone is off or out of reach", _NOTHING),
    30004: Code("unreachable", "the recipient or the carrier blocks messages", "ask the account for another contact"),
    30005: Code("unreachable", "the number is not in service", _NUMBER),
    30006: Code("unreachable", "a landline, or a carrier that cannot be reached", _NUMBER),
    30007: Code("failed", "filtered as unwanted", "register the sender; see Twilio's guide on filtering"),
    30008: Code("failed", "no reason given", _NOTHING),
    30010: Code("failed", "over the price limit", "raise the limit"),
    30022: Code("failed", "more than this sender may send", "raise the registered volume"),
    30034: Code(
        "failed", "the sender is not registered for this country", "register the sender (A2P 10DLC in the USA)"
    ),
    30036: Code("failed", "its validity ended while it was in the queue", "add senders: the queue is too slow"),
    30410: Code("failed", "the carrier's network timed out", _NOTHING),
}

# The state of an ask that each message status stands for. Other statuses are those of inbound messages.
STATUSES: Mapping[str, AskState] = {
    "accepted": AskState.SENT,
    "scheduled": AskState.SENT,
    "queued": AskState.SENT,
    "sending": AskState.SENT,
    "sent": AskState.SENT,
    "delivered": AskState.DELIVERED,
    "read": AskState.DELIVERED,
    "undelivered": AskState.FAILED,
    "failed": AskState.FAILED,
    "canceled": AskState.FAILED,
}


def find_code(code: int | None) -> Code | None:
    """The entry of a code; None if it is not listed."""
    return None if code is None else CODES.get(code)


def means_undeliverable(code: int | None) -> bool:
    """Whether the code says for good that nobody can be reached at this number; a phone that is off does not."""
    found = find_code(code)
    return found is not None and found.action in ("invalid", "unreachable")


def means_opted_out(code: int | None) -> bool:
    """Whether the code says that the recipient wants no messages."""
    found = find_code(code)
    return found is not None and found.action == "opted_out"
