"""Stored codes and values in plain words for the internal pages: reasons, states, claims and answers."""

from datetime import UTC, datetime, tzinfo
from decimal import Decimal
from typing import Literal

from pipeline.domain.answers.scores import is_detractor, is_promoter
from pipeline.domain.answers.statement import Statement
from pipeline.domain.events.contract import FixedResponse, Score
from pipeline.domain.events.times import zone
from pipeline.domain.orders.claims import Claim
from pipeline.domain.orders.facts import contact_of
from pipeline.domain.orders.order import Order
from pipeline.notifiers.wording.questions import RESPONSES
from pipeline.notifiers.wording.sentences import day

_TINY = -20  # power of ten: smaller quantities are shown with an exponent
_NOT_ASKED = {
    "historic": "the order is historical, and only current orders are surveyed",
    "not_a_role_that_is_asked": "people in this role are not asked",
    "no_consent": "no consent to be asked is on record",
    "no_reachable_contact": "the order names no person with a phone number or an e-mail address",
    "invalid_address": "the phone number or e-mail address on the order cannot be read",
    "undeliverable_address": "the provider reported that nobody can be reached at this number or address",
    "no_channel": "no channel that is set up here reaches this person",
    "opted_out": "this person opted out of messages",
    "duplicate": "this person has already been asked about this order",
    "sampled_out": "only a sample of the orders is surveyed, and this order is not in it",
    "asked_recently": "this person was asked a short time ago",
    "address_asked_recently": "this number or address was asked a short time ago on behalf of another customer",
    "account_cap": "this customer has been asked as often as the limit allows",
    "role_cap": "this customer's contacts in this role have been asked as often as the limit allows",
    "quiet_all_day": "quiet hours cover the whole day in the time zones where this person may live",
    "rejected": "the provider cannot reach this number",
    "not_sent": "the provider did not accept the message in time",
    "unresolved": "it is unknown whether the message was sent, and no message is sent twice",
    "delivery_taken_back": "the delivery was taken back before the question was sent",
    "cancelled": "the order was cancelled before anything left and before its first promise had passed",
    "cancelled_late": "the order was cancelled after goods had left or after its first promise had passed",
    "returned": "the goods were returned",
    "zero_pieces": "the order itself states that nothing was delivered",
}
STATES = {
    "due": "waiting to be sent",
    "sending": "being sent",
    "unknown": "unknown whether it was sent; the provider is being checked",
    "unresolved": "unknown whether it was sent; the provider was checked long enough",
    "sent": "sent, no answer yet",
    "failed": "accepted by the provider, but not delivered",
    "delivered": "delivered to the phone, no answer yet",
    "answered": "answered",
    "expired": "no answer in time",
    "not_asked": "not sent after all",
}
_RESPONSE_STATES = {**STATES, "sent": "sent", "delivered": "delivered to the phone"}  # nobody has to answer it
_ARRIVAL = {"on_time": "arrived on time", "late": "arrived late", "not_received": "never arrived"}
_CONDITION = {
    "damaged": "damaged",
    "incomplete": "something was missing",
    "wrong": "wrong goods",
    "papers_missing": "papers missing",
}


def zone_of(name: str | None) -> tzinfo:
    """The time zone in which an order's times are shown: the order's own, by default UTC."""
    return UTC if name is None else zone(name)


def moment(at: datetime, where: tzinfo) -> str:
    """A time as "3 March 2026, 14:05"."""
    local = at.astimezone(where)
    return f"{day(local)}, {local:%H:%M}"


def quantity(of: Decimal) -> str:
    """A quantity without needless digits: 10, not 10.0 or 1E+1."""
    plain = of.normalize()
    return f"{plain:f}" if plain.adjusted() > _TINY else f"{plain:g}"


def plain_word(name: str) -> str:
    """A code such as `not_received` with spaces: "not received"."""
    return name.replace("_", " ")


def case_time(text: str) -> str:
    """A time of the read API as "3 March 2026, 14:05"."""
    at = datetime.fromisoformat(text)
    return f"{day(at)}, {at:%H:%M}"


def case_reason(reason: str) -> str:
    """Why a case is open: "asks to be called"."""
    return {"call": "asks to be called", "question": "asks a question"}.get(reason, plain_word(reason))


def why_not(reason: str) -> str:
    """Why a person was not asked, as a clause that follows "because"."""
    return _NOT_ASKED.get(reason, plain_word(reason))


def claim_in_words(claim: Claim) -> str:
    """What operations claims, in one line: "on time by the latest promise, late by the first, in full"."""
    if claim.delivered_at is None:
        return "no delivery reported"
    promised, first = claim.on_time_latest, claim.on_time_first
    if promised is None:
        parts = ["delivered, with no promise to compare it with"]
    elif first is not None and first != promised:
        parts = ["on time by the latest promise, late by the first" if promised else "late by the latest promise"]
    else:
        parts = ["on time" if promised else "late"]
    if claim.in_full is not None:
        parts.append("in full" if claim.in_full else "not in full")
    return ", ".join(parts)


def experience_in_words(stated: Statement) -> str:
    """Arrival and condition as the customer states them: "arrived late; damaged"."""
    parts = [_ARRIVAL.get(stated.arrival, plain_word(stated.arrival))] if stated.arrival else []
    if stated.conditions:
        parts.append(", ".join(_CONDITION.get(name, plain_word(name)) for name in stated.conditions))
    elif stated.complete is not None:
        parts.append("everything was there" if stated.complete else "not everything was there")
    return "; ".join(parts)


def score_in_words(score: Score | None) -> str | None:
    """The score and how it counts: "2 of 10, unhappy". None without a score."""
    return None if score is None else f"{score.value} of {score.scale}, {mood(score)}"


def mood(score: Score | None) -> Literal["unhappy", "neutral", "happy"]:
    """How the score counts for the NPS: detractors are unhappy, promoters happy, all others neutral."""
    if score is None:
        return "neutral"
    return "unhappy" if is_detractor(score) else "happy" if is_promoter(score) else "neutral"


def statement_in_words(stated: Statement) -> str:
    """Everything a customer states except the comment, in one line; empty if there is nothing else."""
    return "; ".join(filter(None, [experience_in_words(stated), score_in_words(stated.score)]))


def named(order: Order, contact_id: str) -> str:
    """A person of an order by id and role: "ana (receiver)"; by id alone if the order does not name the person."""
    contact = contact_of(order.facts, contact_id)
    return contact_id if contact is None else f"{contact_id} ({plain_word(contact.role)})"


def channel_in_words(channel: str | None) -> str:
    """The channel of a question or an answer as people write it."""
    return {"sms": "SMS", "email": "e-mail", "qr": "the code on the delivery note", None: "an unknown channel"}.get(
        channel, channel or ""
    )


def response_in_words(response: FixedResponse) -> str:
    """A fixed response in English, without the order that it names: "We will call you."."""
    said = RESPONSES[response].partition(": ")[2]
    return said[:1].upper() + said[1:]


def response_state(state: str) -> str:
    """What became of the message of a response."""
    return _RESPONSE_STATES.get(state, plain_word(state))
