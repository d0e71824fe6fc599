"""Whether a contact is asked about an order, or the reason why not."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from datetime import datetime
from enum import StrEnum
from hashlib import sha256

from pipeline.domain.asking.channels import Channel, consents_to_any, serving_channel
from pipeline.domain.asking.policy import Policy
from pipeline.domain.asking.quiet_hours import due_at, open_from, zones_of
from pipeline.domain.events.contract import Contact, Purpose
from pipeline.domain.orders.facts import contact_of
from pipeline.domain.orders.order import Order


class Reason(StrEnum):
    """Why a contact was not asked, in the order of the gates: a later reason came closer to being asked."""

    HISTORIC = "historic"
    WRONG_ROLE = "not_a_role_that_is_asked"
    NO_CONSENT = "no_consent"
    NO_CHANNEL = "no_channel"  # consent exists only for channels that this installation does not have
    NO_REACHABLE_CONTACT = "no_reachable_contact"
    OPTED_OUT = "opted_out"
    SAMPLED_OUT = "sampled_out"
    ASKED_RECENTLY = "asked_recently"
    DUPLICATE = "duplicate"
    ACCOUNT_CAP = "account_cap"
    QUIET_ALL_DAY = "quiet_all_day"  # every hour is quiet in one of the time zones the contact may be in
    REJECTED = "rejected"  # by the provider: it cannot reach that address
    NOT_SENT = "not_sent"  # the provider accepted no attempt until it was too late
    UNRESOLVED = "unresolved"  # it is unknown whether the message was sent


# Losses of contacts who could have been reached: the order still counts as contactable.
WITHIN_REACH = frozenset(
    {
        Reason.DUPLICATE,
        Reason.SAMPLED_OUT,
        Reason.ASKED_RECENTLY,
        Reason.ACCOUNT_CAP,
        Reason.QUIET_ALL_DAY,
        Reason.NOT_SENT,
        Reason.UNRESOLVED,
    }
)
_GATE = {reason: position for position, reason in enumerate(Reason)}
NO_CONTACT = ""  # the contact of a refusal that concerns an order without any contact


@dataclass(frozen=True)
class History:
    """What is known of an account's contacts when a question is considered.

    `last_asked` per contact id; `asked_in_period` questions to the account within the policy's period; `opted_out`
    the digests of addresses that want no messages.
    """

    last_asked: Mapping[str, datetime]
    asked_in_period: int
    opted_out: frozenset[str]


@dataclass(frozen=True)
class Decision:
    """To ask this contact on `channel` (`reason` None), or the reason not to (`channel` empty)."""

    contact_id: str
    reason: Reason | None
    channel: str = ""
    send_at: datetime | None = None  # set by `scheduled`, if questions are sent


def decide(order: Order, purpose: Purpose, history: History, policy: Policy, now: datetime) -> list[Decision]:
    """One decision for every contact of the order, in the order the contacts are named; `now` is UTC."""
    facts, dialogue = order.facts, order.dialogue
    if facts.historic:
        return [Decision(NO_CONTACT, Reason.HISTORIC)]
    contacts = facts.latest.contacts
    if not contacts:
        return [Decision(NO_CONTACT, Reason.NO_REACHABLE_CONTACT)]
    decisions: dict[str, Decision] = {}
    asked_ids = {ask.contact_id for ask in dialogue.asks} | {due.contact_id for due in dialogue.due}
    asked_addresses = {address(contact, policy.channels) for contact in contacts if contact.id in asked_ids}
    asked = history.asked_in_period
    for contact in contacts:
        channel = serving_channel(contact, policy.channels)
        reason = _refusal(contact, channel, order.order_id, history, policy, now)
        to = channel.address(contact) if channel is not None else None
        if reason is None and (to in asked_addresses or dialogue.asked(contact.id, purpose)):
            reason = Reason.DUPLICATE
        if reason is None and asked >= policy.account_cap:
            reason = Reason.ACCOUNT_CAP
        known = decisions.get(contact.id)  # a person named in two roles gets one decision, the better one
        if known is not None and (known.reason is None or (reason and _GATE[reason] <= _GATE[known.reason])):
            continue
        if reason is None:
            asked += 1
            asked_addresses.add(to)
        decisions[contact.id] = Decision(contact.id, reason, channel.name if channel and reason is None else "")
    return list(decisions.values())


def reminder(order: Order, contact_id: str, policy: Policy) -> Decision:
    """The decision to remind a contact who was asked before, on the channel that serves them now.

    A contact whom the order no longer names is reminded on the preferred channel.
    """
    contact = contact_of(order.facts, contact_id)
    channel = None if contact is None else serving_channel(contact, policy.channels)
    return Decision(contact_id, None, (channel or policy.channels[0]).name)


def scheduled(order: Order, decision: Decision, purpose: Purpose, policy: Policy, now: datetime) -> Decision:
    """The decision with the time to send, outside quiet hours; a refusal if every hour is quiet.

    A question about a delivery waits after the delivery as the policy says; a missing scan and a reminder do not wait.
    """
    if decision.reason is not None:
        return decision
    contact = contact_of(order.facts, decision.contact_id)
    delivered_at = order.dialogue.claim.delivered_at if purpose == "delivery" else None
    zones = zones_of(contact.timezone if contact else None, order.facts.latest.timezone, policy)
    send_at = open_from(now, zones, policy) if delivered_at is None else due_at(delivered_at, now, zones, policy)
    if send_at is None:
        return Decision(decision.contact_id, Reason.QUIET_ALL_DAY)
    return replace(decision, send_at=send_at)


def _refusal(
    contact: Contact, channel: Channel | None, order_id: str, history: History, policy: Policy, now: datetime
) -> Reason | None:
    """The first gate that the contact does not pass, except the account's cap and duplicates."""
    if contact.role not in policy.roles:
        return Reason.WRONG_ROLE
    if channel is None:
        return _unreachable(contact, policy.channels)
    if channel.address(contact) in history.opted_out:
        return Reason.OPTED_OUT
    if not _sampled(order_id, contact.id, policy.sample_rate):
        return Reason.SAMPLED_OUT
    last = history.last_asked.get(contact.id)
    if last is not None and now - last < policy.contact_rest:
        return Reason.ASKED_RECENTLY
    return None


def _unreachable(contact: Contact, channels: Sequence[Channel]) -> Reason:
    """Why no channel serves the contact."""
    if not consents_to_any(contact):
        return Reason.NO_CONSENT
    if not any(channel.consents(contact) for channel in channels):
        return Reason.NO_CHANNEL
    return Reason.NO_REACHABLE_CONTACT


def address(contact: Contact, channels: Sequence[Channel]) -> str | None:
    """The digest of the address a question would go to; None if no channel serves the contact."""
    channel = serving_channel(contact, channels)
    return None if channel is None else channel.address(contact)


def _sampled(order_id: str, contact_id: str, rate: float) -> bool:
    """Whether this order's contact is in the sample: the same result every time."""
    if rate >= 1:
        return True
    digest = sha256(f"{order_id}\n{contact_id}".encode()).digest()
    return int.from_bytes(digest[:8], "big") < rate * 2**64


def nearest(reasons: Sequence[str]) -> Reason:
    """Of the reasons why an order's contacts were not asked, the one of the latest gate."""
    return max((Reason(reason) for reason in reasons), key=_GATE.__getitem__)
