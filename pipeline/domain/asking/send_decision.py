"""Whether a due ask is sent now, later or never. Everything is checked again at the moment of sending."""

from dataclasses import dataclass
from datetime import datetime, timedelta

from pipeline.domain.asking.ask_states import SendOutcome
from pipeline.domain.asking.channels import Channel, consents_to_any
from pipeline.domain.asking.policy import Policy
from pipeline.domain.asking.quiet_hours import open_from, validity
from pipeline.domain.events.contract import Contact


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
    """Whether that address opted out."""
    zones: frozenset[str]
    """The time zones whose quiet hours apply."""


def before_sending(ask: SendEligibility, policy: Policy, now: datetime) -> Go | Wait | End:
    """What to do with a due ask at `now` (UTC)."""
    refused = _refused(ask)
    if refused is not None:
        return End(refused)
    give_up_at = ask.decided_at + policy.send_within
    if now >= give_up_at:
        return End(SendOutcome.NO_CHANNEL if ask.channel is None else SendOutcome.GIVEN_UP)
    if ask.channel is None or ask.address is None:
        return Wait(give_up_at)
    valid_for = validity(now, ask.zones, policy, ask.channel.max_queue_time)
    if valid_for is not None:
        return Go(valid_for)
    return Wait(open_from(now, ask.zones, policy) or give_up_at)


def _refused(ask: SendEligibility) -> SendOutcome | None:
    """Whether the contact opted out or withdrew all consent, or agrees to other channels only."""
    if ask.opted_out or (ask.contact is not None and not consents_to_any(ask.contact)):
        return SendOutcome.OPTED_OUT
    if ask.contact is None or ask.channel is None or ask.channel.consents(ask.contact):
        return None
    return SendOutcome.NO_CHANNEL
