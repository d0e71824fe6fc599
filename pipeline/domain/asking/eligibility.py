"""Whether a contact is asked about an order, or the reason why not."""

from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace
from datetime import datetime, timedelta
from enum import StrEnum
from hashlib import sha256

from pipeline.domain.asking.address_rest import DAY, AddressUse, Rest, free_at, resting
from pipeline.domain.asking.channels import Channel, consents_to_any, serving_channel
from pipeline.domain.asking.policy import Policy
from pipeline.domain.asking.quiet_hours import due_at, open_from, places_of
from pipeline.domain.events.contract import RESPONSE, SETTLED, Contact, ContactRole, Purpose
from pipeline.domain.orders.endings import ending_of
from pipeline.domain.orders.facts import contact_of
from pipeline.domain.orders.order import Order


class Reason(StrEnum):
    """Why a contact was not asked, in the order of the gates: a later reason came closer to being asked."""

    HISTORIC = "historic"
    WRONG_ROLE = "not_a_role_that_is_asked"
    NO_CONSENT = "no_consent"
    NO_CHANNEL = "no_channel"  # consent exists only for channels that this installation does not have
    NO_REACHABLE_CONTACT = "no_reachable_contact"
    INVALID_ADDRESS = "invalid_address"  # one is named, and it cannot be read
    UNDELIVERABLE = "undeliverable_address"  # the provider reported for good that nobody can be reached there
    OPTED_OUT = "opted_out"
    SAMPLED_OUT = "sampled_out"
    ASKED_RECENTLY = "asked_recently"
    ADDRESS_ASKED_RECENTLY = "address_asked_recently"  # on behalf of another account
    DUPLICATE = "duplicate"
    ACCOUNT_CAP = "account_cap"
    ROLE_CAP = "role_cap"
    QUIET_ALL_DAY = "quiet_all_day"  # every hour is quiet in one of the time zones the contact may be in
    REJECTED = "rejected"  # by the provider: it cannot reach that address
    NOT_SENT = "not_sent"  # the provider accepted no attempt until it was too late
    UNRESOLVED = "unresolved"  # it is unknown whether the message was sent
    DELIVERY_TAKEN_BACK = "delivery_taken_back"  # before the question was sent
    # The order ended without a delivery (`orders.endings`).
    CANCELLED = "cancelled"
    RETURNED = "returned"
    ZERO_PIECES = "zero_pieces"
    CANCELLED_LATE = "cancelled_late"


# Losses of contacts who could have been reached: the order still counts as contactable.
WITHIN_REACH = frozenset(
    {
        Reason.DUPLICATE,
        Reason.SAMPLED_OUT,
        Reason.ASKED_RECENTLY,
        Reason.ADDRESS_ASKED_RECENTLY,
        Reason.ACCOUNT_CAP,
        Reason.ROLE_CAP,
        Reason.QUIET_ALL_DAY,
        Reason.NOT_SENT,
        Reason.UNRESOLVED,
        Reason.DELIVERY_TAKEN_BACK,
    }
)
ENDED = frozenset({Reason.CANCELLED, Reason.CANCELLED_LATE, Reason.RETURNED, Reason.ZERO_PIECES})
# What a later revision of the order or of its delivery may change: such a refusal is lifted (`reconsidered`).
LIFTED = ENDED | frozenset(
    {
        Reason.WRONG_ROLE,
        Reason.NO_CONSENT,
        Reason.NO_CHANNEL,
        Reason.NO_REACHABLE_CONTACT,
        Reason.INVALID_ADDRESS,
        Reason.UNDELIVERABLE,
        Reason.DELIVERY_TAKEN_BACK,
    }
)
_LIFTED_AT_ANY_TIME = ENDED | {Reason.DELIVERY_TAKEN_BACK}
_REST_REASON = {
    None: None,
    Rest.OWN_ACCOUNT: Reason.ASKED_RECENTLY,
    Rest.OTHER_ACCOUNT: Reason.ADDRESS_ASKED_RECENTLY,
}
_PASSING = frozenset({Reason.ASKED_RECENTLY, Reason.ADDRESS_ASKED_RECENTLY, Reason.ACCOUNT_CAP})
_SHORTLY = timedelta(days=7)  # before the completion of an order
_GATE = {reason: position for position, reason in enumerate(Reason)}
NO_CONTACT = ""  # the contact of a refusal that concerns an order without any contact


@dataclass(frozen=True)
class History:
    """What is known of an account's contacts when a question is considered.

    `last_asked` per contact id; `asked_in_period` questions to the account within the policy's period, `asked_by_role`
    those to contacts in a role; `opted_out` the digests of addresses that want no messages; `silent` the ids of
    contacts who want none at any address; `undeliverable` the addresses that rest because no message can reach them;
    `address_uses` the recent questions to each address, those of other accounts included.
    """

    last_asked: Mapping[str, datetime]
    asked_in_period: int
    opted_out: frozenset[str]
    address_uses: Mapping[str, Sequence[AddressUse]] = field(default_factory=dict)
    undeliverable: frozenset[str] = frozenset()
    silent: frozenset[str] = frozenset()
    asked_by_role: Mapping[ContactRole, int] = field(default_factory=dict)

    def has_stopped(self, contact: Contact, to: str | None) -> bool:
        """Whether nothing may be sent to the contact at this address (its digest)."""
        return contact.id in self.silent or to in self.opted_out


@dataclass(frozen=True)
class Decision:
    """To ask this contact on `channel` (`reason` None), or the reason not to (`channel` empty)."""

    contact_id: str
    reason: Reason | None
    channel: str = ""
    send_at: datetime | None = None  # set by `scheduled`, if questions are sent


def decide(order: Order, purpose: Purpose, history: History, policy: Policy, now: datetime) -> list[Decision]:
    """One decision for every contact of the order, in the order the contacts are named; `now` is UTC.

    After the first decision for this purpose, only for the contacts that `reconsidered` returns.
    """
    facts, dialogue = order.facts, order.dialogue
    if facts.historic:
        return [Decision(NO_CONTACT, Reason.HISTORIC)]
    contacts: Sequence[Contact] = facts.contacts
    if purpose in dialogue.decided_at:
        contacts = reconsidered(order, purpose, policy, now)
    elif not contacts:
        return [Decision(NO_CONTACT, Reason.NO_REACHABLE_CONTACT)]
    decisions: dict[str, Decision] = {}
    asked_ids = {ask.contact_id for ask in dialogue.asks} | {due.contact_id for due in dialogue.due}
    asked_addresses = {
        address(contact, policy.channels_for(contact)) for contact in facts.contacts if contact.id in asked_ids
    }
    asked, by_role = history.asked_in_period, Counter(history.asked_by_role)
    for contact in contacts:
        channel = _usable_channel(contact, history, policy)
        reason = _refusal(contact, channel, order, history, policy, now)
        to = channel.address(contact) if channel is not None else None
        if reason is None and (to in asked_addresses or dialogue.asked(contact.id, purpose)):
            reason = Reason.DUPLICATE
        if reason is None and asked >= policy.account_cap:
            reason = Reason.ACCOUNT_CAP
        if reason is None and by_role[contact.role] >= policy.cap_of(contact.role):
            reason = Reason.ROLE_CAP
        known = decisions.get(contact.id)  # a person named in two roles gets one decision, the better one
        if known is not None and (known.reason is None or (reason and _GATE[reason] <= _GATE[known.reason])):
            continue
        if reason is None:
            asked, by_role[contact.role] = asked + 1, by_role[contact.role] + 1
            asked_addresses.add(to)
        decisions[contact.id] = Decision(contact.id, reason, channel.name if channel and reason is None else "")
    return list(decisions.values())


def reconsidered(order: Order, purpose: Purpose, policy: Policy, now: datetime) -> list[Contact]:
    """The contacts to decide about once more: who is new, and whose refusal a revision may have lifted.

    Only as long as `may_reconsider` says; at any time if the refusal was because the order had ended or its delivery
    was taken back: now it is delivered after all. Who was asked, or refused for another reason, stays decided.
    """
    if order.facts.historic or purpose not in order.dialogue.decided_at:
        return []
    lifted = LIFTED if may_reconsider(order, purpose, policy, now) else _LIFTED_AT_ANY_TIME
    return [contact for contact in order.facts.contacts if _is_open(order, contact.id, purpose, lifted)]


def may_reconsider(order: Order, purpose: Purpose, policy: Policy, now: datetime) -> bool:
    """Whether it is still near enough to the delivery, or to the first decision if that came later."""
    decided_at = order.dialogue.decided_at.get(purpose)
    if decided_at is None:
        return False
    delivered_at = order.dialogue.claim.delivered_at if purpose == "delivery" else None
    return now - max(decided_at, min(delivered_at or decided_at, now)) < policy.send_within


def _is_open(order: Order, contact_id: str, purpose: Purpose, lifted: frozenset[Reason]) -> bool:
    dialogue = order.dialogue
    if dialogue.asked(contact_id, purpose) or dialogue.is_due(contact_id, purpose):
        return False
    refusal = dialogue.refusal_of(contact_id, purpose)
    return lifted is LIFTED if refusal is None else refusal.reason in lifted


def is_answerable(order: Order, purpose: Purpose) -> bool:
    """Whether what a question is about still stands: a delivery that was not taken back, an order that did not end.

    A reminder repeats a question: after one about a missing scan, there need not be a delivery.
    """
    dialogue = order.dialogue
    if purpose in (SETTLED, RESPONSE):  # also of an order that ended
        return True
    if dialogue.claim.delivered_at is None and ending_of(order.facts) is not None:
        return False
    if purpose == "missing_scan":
        return True
    about_delivery = purpose == "delivery" or all(ask.purpose != "missing_scan" for ask in dialogue.asks)
    return dialogue.claim.delivered_at is not None or not about_delivery


def reminder(order: Order, contact_id: str, policy: Policy) -> Decision:
    """The decision to remind a contact who was asked before, on the channel that serves them now.

    A contact whom the order no longer names is reminded on the preferred channel.
    """
    contact = contact_of(order.facts, contact_id)
    channel = None if contact is None else serving_channel(contact, policy.channels_for(contact))
    return Decision(contact_id, None, (channel or policy.channels[0]).name)


def follow_up(order: Order, contact_id: str, history: History, policy: Policy, now: datetime) -> Decision:
    """The decision to ask a contact once more whether what they complained about is settled: by the same gates.

    That they, or their address, were asked about this order does not matter; the rest after that question does.
    """
    contact = contact_of(order.facts, contact_id)
    if contact is None:
        return Decision(contact_id, Reason.NO_REACHABLE_CONTACT)
    channel = _usable_channel(contact, history, policy)
    reason = Reason.HISTORIC if order.facts.historic else _refusal(contact, channel, order, history, policy, now)
    if reason is None and history.asked_in_period >= policy.account_cap:
        reason = Reason.ACCOUNT_CAP
    return Decision(contact_id, reason, channel.name if channel and reason is None else "")


def response(order: Order, contact_id: str, history: History, policy: Policy) -> Decision:
    """The decision to send a contact a fixed response to what they wrote.

    Consent, opt-outs and addresses without anybody count as for questions; rests, limits and samples do not: nothing is
    asked, and the contact waits for it.
    """
    contact = contact_of(order.facts, contact_id)
    if contact is None:
        return Decision(contact_id, Reason.NO_REACHABLE_CONTACT)
    channel = _usable_channel(contact, history, policy)
    reason = Reason.HISTORIC if order.facts.historic else _barrier(contact, channel, history, policy)
    return Decision(contact_id, reason, channel.name if channel and reason is None else "")


def rested_at(order: Order, decision: Decision, history: History, policy: Policy, now: datetime) -> datetime | None:
    """When a refusal because of earlier questions may have ended, later than `now`; None: it stands."""
    contact = contact_of(order.facts, decision.contact_id)
    if contact is None or decision.reason not in _PASSING:
        return None
    channel = _usable_channel(contact, history, policy)
    uses = [use.at for use in history.address_uses.get(channel.address(contact) or "", ())] if channel else []
    ends = [at + policy.contact_rest for at in uses]
    if contact.id in history.last_asked:
        ends.append(history.last_asked[contact.id] + policy.rest_of(contact.role))
    free = free_at(uses, policy, now)
    later = [at for at in (*ends, free) if at is not None and at > now]
    return max(later, default=now + DAY)


def fallback(contact: Contact, failed: str | None, history: History, policy: Policy) -> Channel | None:
    """The next channel that serves a contact after one has failed for good; None: there is none.

    Not to an address at which nobody can be reached, and not to a contact who opted out on any of them.
    """
    channels = policy.channels_for(contact)
    place = next((n for n, channel in enumerate(channels) if channel.name == failed), None)
    if place is None or any(history.has_stopped(contact, to) for to in (contact.phone, contact.email)):
        return None
    later = (channel for channel in channels[place + 1 :] if channel.serves(contact))
    return next((channel for channel in later if channel.address(contact) not in history.undeliverable), None)


def scheduled(order: Order, decision: Decision, purpose: Purpose, policy: Policy, now: datetime) -> Decision:
    """The decision with the time to send, outside quiet time; a refusal if every hour is quiet.

    A question about a delivery waits after the delivery as the policy says; a missing scan and a reminder do not wait.
    """
    if decision.reason is not None:
        return decision
    contact = contact_of(order.facts, decision.contact_id)
    delivered_at = order.dialogue.claim.delivered_at if purpose == "delivery" else None
    places = places_of(contact, order.facts.latest.timezone, policy)
    wait = policy.wait_of(contact.role if contact else None)
    if delivered_at is None:
        send_at = open_from(now, places, policy)
    else:
        send_at = due_at(delivered_at, now, places, policy, wait)
    if send_at is None:
        return Decision(decision.contact_id, Reason.QUIET_ALL_DAY)
    return replace(decision, send_at=send_at)


def _refusal(
    contact: Contact, channel: Channel | None, order: Order, history: History, policy: Policy, now: datetime
) -> Reason | None:
    """The first gate that the contact does not pass, except the account's cap and duplicates."""
    if contact.role not in policy.roles:
        return Reason.WRONG_ROLE
    barrier = _barrier(contact, channel, history, policy)
    if barrier is not None or channel is None:
        return barrier
    to = channel.address(contact)
    if not _sampled(order.order_id, contact.id, policy.sample_rate):
        return Reason.SAMPLED_OUT
    last = history.last_asked.get(contact.id)
    if last is not None and now - last < policy.rest_of(contact.role):
        return Reason.ASKED_RECENTLY
    uses = history.address_uses.get(to, ()) if to is not None else ()
    return _REST_REASON[resting(uses, order.facts.latest.account.id, policy, now)]


def _barrier(contact: Contact, channel: Channel | None, history: History, policy: Policy) -> Reason | None:
    """Why no message may go, or can come, to the contact on the channel; None: nothing is in the way."""
    if channel is None:
        return _unreachable(contact, policy.channels_for(contact))
    to = channel.address(contact)
    if history.has_stopped(contact, to):
        return Reason.OPTED_OUT
    return Reason.UNDELIVERABLE if to in history.undeliverable else None


def _usable_channel(contact: Contact, history: History, policy: Policy) -> Channel | None:
    """The first channel that serves a contact and reaches somebody; if none does, the first that serves them.

    Those on which the contact can reply come first.
    """
    serving = [channel for channel in policy.channels_for(contact) if channel.serves(contact)]
    serving.sort(key=lambda channel: contact.country in channel.one_way_in)
    reaching = (channel for channel in serving if channel.address(contact) not in history.undeliverable)
    return next(reaching, serving[0] if serving else None)


def _unreachable(contact: Contact, channels: Sequence[Channel]) -> Reason:
    """Why no channel serves the contact."""
    if not consents_to_any(contact):
        return Reason.NO_CONSENT
    agreed = {channel.address_kind for channel in channels if channel.consents(contact)}
    if not agreed:
        return Reason.NO_CHANNEL
    return Reason.NO_REACHABLE_CONTACT if agreed.isdisjoint(contact.unusable_addresses) else Reason.INVALID_ADDRESS


def address(contact: Contact, channels: Sequence[Channel]) -> str | None:
    """The digest of the address a question would go to; None if no channel serves the contact."""
    channel = serving_channel(contact, channels)
    return None if channel is None else channel.address(contact)


def address_changed(order: Order, to: str, policy: Policy) -> bool:
    """Whether a revision of the order brought this address shortly before the completion or later, after others."""
    revisions = order.facts.revisions
    named = [{address(contact, policy.channels_for(contact)) for contact in one.contacts} - {None} for one in revisions]
    first = next((n for n, known in enumerate(named) if to in known), None)
    if first is None or not any(named[:first]):
        return False
    return revisions[first].time > order.facts.latest.completed_at - _SHORTLY


def _sampled(order_id: str, contact_id: str, rate: float) -> bool:
    """Whether this order's contact is in the sample: the same result every time."""
    if rate >= 1:
        return True
    digest = sha256(f"{order_id}\n{contact_id}".encode()).digest()
    return int.from_bytes(digest[:8], "big") < rate * 2**64


def nearest(reasons: Sequence[str]) -> Reason:
    """Of the reasons why an order's contacts were not asked, the one of the latest gate."""
    return max((Reason(reason) for reason in reasons), key=_GATE.__getitem__)
