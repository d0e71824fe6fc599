"""Who would be asked about an order, or why not: every loss has one of these reasons."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from enum import StrEnum
from hashlib import sha256

from pipeline.domain.asking.policy import Policy
from pipeline.domain.events.contract import Contact, Purpose
from pipeline.domain.orders.order import Order


class Reason(StrEnum):
    """Why somebody was not asked, in the order of the gates: a later reason came closer to being asked."""

    HISTORIC = "historic"
    WRONG_ROLE = "not_a_role_that_is_asked"
    NO_CONSENT = "no_consent"
    NO_REACHABLE_CONTACT = "no_reachable_contact"
    OPTED_OUT = "opted_out"
    SAMPLED_OUT = "sampled_out"
    ASKED_RECENTLY = "asked_recently"
    DUPLICATE = "duplicate"
    ACCOUNT_CAP = "account_cap"
    QUIET_ALL_DAY = "quiet_all_day"  # no hour of the day is open in all the zones the person may live in
    REJECTED = "rejected"  # by the provider: no number it can reach
    NOT_SENT = "not_sent"  # the provider took nothing until it was too late
    UNRESOLVED = "unresolved"  # nobody knows whether it was sent


# Losses after the person could have been reached: the order still counts as contactable.
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
_GATE = {reason: place for place, reason in enumerate(Reason)}
NOBODY = ""  # the contact of a refusal that concerns an order without any contact


@dataclass(frozen=True)
class History:
    """What is known of an account's people when a question is considered.

    `last_asked` per contact id; `asked_in_period` questions to the account within the policy's period; `opted_out`
    the digests of addresses that want no messages.
    """

    last_asked: Mapping[str, datetime]
    asked_in_period: int
    opted_out: frozenset[str]


@dataclass(frozen=True)
class Decision:
    """To ask this contact (`reason` None) or not, and then why not."""

    contact_id: str
    reason: Reason | None
    channel: str = "sms"


def decide(order: Order, purpose: Purpose, history: History, policy: Policy, now: datetime) -> list[Decision]:
    """One decision for every contact of the order, in the order the contacts are named; `now` is UTC."""
    facts, dialogue = order.facts, order.dialogue
    if facts.historic:
        return [Decision(NOBODY, Reason.HISTORIC)]
    contacts = facts.latest.contacts
    if not contacts:
        return [Decision(NOBODY, Reason.NO_REACHABLE_CONTACT)]
    decisions: dict[str, Decision] = {}
    spoken_to = {ask.contact_id for ask in dialogue.asks} | {due.contact_id for due in dialogue.due}
    reached = {address(contact) for contact in contacts if contact.id in spoken_to}
    asked = history.asked_in_period
    for contact in contacts:
        reason = _refusal(contact, order.order_id, history, policy, now)
        if reason is None and (address(contact) in reached or dialogue.asked(contact.id, purpose)):
            reason = Reason.DUPLICATE
        if reason is None and asked >= policy.account_cap:
            reason = Reason.ACCOUNT_CAP
        known = decisions.get(contact.id)  # one person in two roles is decided upon once, by the better one
        if known is not None and (known.reason is None or (reason and _GATE[reason] <= _GATE[known.reason])):
            continue
        if reason is None:
            asked += 1
            reached.add(address(contact))
        decisions[contact.id] = Decision(contact.id, reason, "sms" if _by_sms(contact) else "email")
    return list(decisions.values())


def _refusal(contact: Contact, order_id: str, history: History, policy: Policy, now: datetime) -> Reason | None:
    """The first gate this contact does not pass, the account's cap and duplicates left aside."""
    if contact.role not in policy.roles:
        return Reason.WRONG_ROLE
    if contact.consent is None or not (contact.consent.sms or contact.consent.email):
        return Reason.NO_CONSENT
    reached_at = address(contact)
    if reached_at is None:
        return Reason.NO_REACHABLE_CONTACT
    if reached_at in history.opted_out:
        return Reason.OPTED_OUT
    if not _sampled(order_id, contact.id, policy.sample_rate):
        return Reason.SAMPLED_OUT
    last = history.last_asked.get(contact.id)
    if last is not None and now - last < policy.contact_rest:
        return Reason.ASKED_RECENTLY
    return None


def address(contact: Contact) -> str | None:
    """The digest of the address a question would go to: the phone if SMS is agreed to, else the e-mail."""
    if _by_sms(contact):
        return contact.phone
    if contact.consent is not None and contact.consent.email:
        return contact.email
    return None


def _by_sms(contact: Contact) -> bool:
    return contact.consent is not None and contact.consent.sms and contact.phone is not None


def _sampled(order_id: str, contact_id: str, rate: float) -> bool:
    """Whether this order's contact falls into the sample: the same whenever it is asked again."""
    if rate >= 1:
        return True
    digest = sha256(f"{order_id}\n{contact_id}".encode()).digest()
    return int.from_bytes(digest[:8], "big") < rate * 2**64


def nearest(reasons: Sequence[str]) -> Reason:
    """Of the reasons why an order's contacts were not asked, the one that came closest to asking."""
    return max((Reason(reason) for reason in reasons), key=_GATE.__getitem__)
