"""Whether a due ask is sent now, later or never. Everything is checked again at the moment of sending."""

from dataclasses import dataclass
from datetime import datetime, timedelta

from pipeline.domain.asking.address_rest import Rest
from pipeline.domain.asking.ask_states import SendOutcome
from pipeline.domain.asking.calendars import Place
from pipeline.domain.asking.channels import Channel, consents_to_any
from pipeline.domain.asking.policy import Policy
from pipeline.domain.asking.quiet_hours import give_up_at, open_from, validity
from pipeline.domain.events.contract import Contact

_LOOK_AGAIN = timedelta(hours=1)
_RESTS = {Rest.OWN_ACCOUNT: SendOutcome.ASKED_RECENTLY, Rest.OTHER_ACCOUNT: SendOutcome.ADDRESS_ASKED}


@dataclass(frozen=True)
class Go:
    """Send it: it may wait in the provider's queue for `valid_for`."""

    valid_for: timedelta


@dataclass(frozen=True)
class Wait:
    """Not now: decide again at `until`."""

    until: datetime


@dataclass(frozen=True)
class End:
    """Never: `outcome` says why."""

    outcome: SendOutcome


@dataclass(frozen=True)
class SendEligibility:
    """What is known about a due ask at the moment of sending it."""

    decided_at: datetime
    contact: Contact | None
    """The contact as the order names them now. None: the order no longer names them, and they are asked all the same,
    or removing a contact would be a way to avoid the question."""
    channel: Channel | None
    """The channel that was decided on; None if this installation does not have it (any more)."""
    address: str | None
    """The digest of the contact's address on that channel."""
    opted_out: bool
    """Whether that address, or the contact at any address, opted out."""
    places: frozenset[Place]
    """The places whose quiet time applies."""
    answerable: bool = True
    """Whether what the question is about still stands (`eligibility.is_answerable`)."""
    rest: Rest | None = None
    """Why the address may not be asked, if messages that were sent to it since the decision are the reason."""
    free_at: datetime | None = None
    """When the address may be asked again, by its daily cap; None: now."""
    send_by: datetime | None = None
    """`Policy.send_within` after it was made due once more, closed days not considered; None: it was not."""
    undeliverable: bool = False
    """Whether that address rests, because the provider reported that nobody can be reached there."""


def before_sending(ask: SendEligibility, policy: Policy, now: datetime) -> Go | Wait | End:
    """What to do with a due ask at `now` (UTC)."""
    refused = _refused(ask)
    if refused is not None:
        return End(refused)
    since = ask.decided_at if ask.send_by is None else ask.send_by - policy.send_within
    end = since + policy.send_within
    if now >= end:  # closed days may have moved it; most questions are sent before that matters
        end = give_up_at(since, ask.places, policy)
    if now >= end:
        return End(_why_never(ask))
    if ask.channel is None or ask.address is None:
        return Wait(end)
    if not ask.answerable:  # a new delivery makes it due at once; this is in case that is missed
        return Wait(min(end, now + _LOOK_AGAIN))
    if ask.free_at is not None:
        return Wait(min(end, ask.free_at))
    valid_for = validity(now, ask.places, policy, ask.channel.max_queue_time)
    if valid_for is not None:
        return Go(valid_for)
    return Wait(open_from(now, ask.places, policy) or end)


def _refused(ask: SendEligibility) -> SendOutcome | None:
    """Whether the contact opted out or withdrew all consent, agrees to other channels only, or was asked elsewhere."""
    if ask.opted_out or (ask.contact is not None and not consents_to_any(ask.contact)):
        return SendOutcome.OPTED_OUT
    if ask.contact is not None and ask.channel is not None and not ask.channel.consents(ask.contact):
        return SendOutcome.NO_CHANNEL
    if ask.undeliverable:
        return SendOutcome.UNDELIVERABLE
    return None if ask.rest is None else _RESTS[ask.rest]


def _why_never(ask: SendEligibility) -> SendOutcome:
    if ask.channel is None:
        return SendOutcome.NO_CHANNEL
    return SendOutcome.GIVEN_UP if ask.answerable else SendOutcome.TAKEN_BACK
