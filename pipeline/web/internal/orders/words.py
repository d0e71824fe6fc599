"""What stands in the database, as people say it: reasons, states, claims and answers in plain words."""

from datetime import UTC, datetime, tzinfo
from typing import Literal

from pipeline.domain.answers.scores import is_detractor, is_promoter
from pipeline.domain.events.contract import Score
from pipeline.domain.events.times import zone
from pipeline.domain.orders.claims import Claim
from pipeline.domain.orders.facts import contact_of
from pipeline.domain.orders.order import Order
from pipeline.notifiers.wording.sentences import day
from pipeline.store.reads.pages import StoredAnswer

_WHY_NOT = {
    "historic": "the order comes from the past, and nobody is asked about history",
    "not_a_role_that_is_asked": "people in this role are not asked",
    "no_consent": "no consent to be asked is on record",
    "no_reachable_contact": "the order names nobody with a number or an address that works",
    "opted_out": "this person asked not to be written to",
    "duplicate": "this person was asked about this order already",
    "sampled_out": "only a sample is asked, and this order is not in it",
    "asked_recently": "this person was asked a few days ago, and is left in peace",
    "account_cap": "this customer was asked often enough these days",
    "quiet_all_day": "no hour of the day is open in all the time zones this person may live in",
    "rejected": "the provider cannot reach this number",
    "not_sent": "the provider took nothing until it was too late",
    "unresolved": "nobody knows whether the message was sent, and nothing is sent twice",
}
STATES = {
    "due": "waits to be sent",
    "sending": "on its way out",
    "unknown": "nobody knows yet whether it was sent; it is being looked for",
    "unresolved": "nobody knows whether it was sent, and it was looked for long enough",
    "sent": "sent, no answer so far",
    "failed": "the provider took it and could not deliver it",
    "delivered": "the message arrived, no answer so far",
    "answered": "answered",
    "expired": "no answer came in time",
    "not_asked": "it was not sent after all",
}
_ARRIVAL = {"on_time": "it came on time", "late": "it came late", "not_received": "it never arrived"}
_CONDITION = {
    "damaged": "damaged",
    "incomplete": "something was missing",
    "wrong": "the wrong goods",
    "papers_missing": "papers missing",
}


def zone_of(name: str | None) -> tzinfo:
    """The zone in which an order's times are shown."""
    return UTC if name is None else zone(name)


def moment(at: datetime, where: tzinfo) -> str:
    """An instant as "3 March 2026, 14:05"."""
    local = at.astimezone(where)
    return f"{day(local)}, {local:%H:%M}"


def plain_word(name: str) -> str:
    """A name from a closed list as people write it."""
    return name.replace("_", " ")


def why_not(reason: str) -> str:
    """Why somebody was not asked, in half a sentence."""
    return _WHY_NOT.get(reason, plain_word(reason))


def claim_in_words(claim: Claim) -> str:
    """What operations says, in one line: "on time by the latest promise, late by the first; in full"."""
    if claim.delivered_at is None:
        return "no delivery reported"
    promised, first = claim.on_time_latest, claim.on_time_first
    if promised is None:
        parts = ["delivered, without a promise to measure it by"]
    elif first is not None and first != promised:
        parts = ["on time by the latest promise, late by the first" if promised else "late by the latest promise"]
    else:
        parts = ["on time" if promised else "late"]
    if claim.in_full is not None:
        parts.append("in full" if claim.in_full else "not in full")
    return ", ".join(parts)


def answer_in_words(answer: StoredAnswer) -> str:
    """What the customer says, without the words: "it came late; damaged"."""
    parts = [_ARRIVAL.get(answer.arrival, plain_word(answer.arrival))] if answer.arrival else []
    complaints = [_CONDITION.get(name, plain_word(name)) for name in answer.condition.split(",") if name]
    if complaints:
        parts.append(", ".join(complaints))
    elif answer.complete is not None:
        parts.append("everything was there" if answer.complete else "not everything was there")
    return "; ".join(parts)


def score_in_words(answer: StoredAnswer) -> str | None:
    """The score with its mood: "2 of 10, unhappy"."""
    if answer.score is None or answer.scale is None:
        return None
    return f"{answer.score} of {answer.scale}, {mood(answer)}"


def mood(answer: StoredAnswer) -> Literal["unhappy", "neutral", "happy"]:
    """How the score counts: as a detractor's, a promoter's or neither's."""
    if answer.score is None:
        return "neutral"
    score = Score(answer.score, 5 if answer.scale == 5 else 10)
    return "unhappy" if is_detractor(score) else "happy" if is_promoter(score) else "neutral"


def heard(answer: StoredAnswer) -> str:
    """All that an answer says but its words, in one line."""
    return "; ".join(filter(None, [answer_in_words(answer), score_in_words(answer)]))


def named(order: Order, contact_id: str) -> str:
    """A person of an order by their id and role."""
    contact = contact_of(order.facts, contact_id)
    return contact_id if contact is None else f"{contact_id} ({plain_word(contact.role)})"


def channel_in_words(channel: str | None) -> str:
    """The way a question or an answer went."""
    return {"sms": "SMS", "email": "e-mail", None: "an unknown way"}.get(channel, channel or "")
