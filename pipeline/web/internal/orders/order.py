"""One order as a whole: what operations said, what the customer says, whether both agree, and its story.

The page and the read API show the same of it. Names and addresses are sealed and appear in neither: people are called
by their id and role.
"""

from collections.abc import Iterable, Sequence
from datetime import datetime
from typing import Literal

from msgspec import Struct

from pipeline.domain.detection.pairs import EXPERIENCE, IN_FULL, ON_TIME, Verdict, experience_of, observations, verdict
from pipeline.domain.detection.segments import TOTAL, Level, Segment, segments_of
from pipeline.domain.orders.claims import Claim
from pipeline.domain.orders.order import Order
from pipeline.domain.reports.alerts import Alert
from pipeline.notifiers.wording.sentences import describe, headline
from pipeline.store.reads.pages import Record
from pipeline.web.internal.orders.timeline import Moment, standing, timeline_of
from pipeline.web.internal.orders.words import claim_in_words, heard, named, plain_word, zone_of


class Said(Struct, frozen=True):
    """A claim in words, and as it can be checked. None: nothing is said."""

    summary: str
    delivered_at: datetime | None
    on_time_first: bool | None
    on_time_latest: bool | None
    on_time_requested: bool | None
    in_full: bool | None


class Behind(Struct, frozen=True):
    """An alert whose evidence this order is part of."""

    alert_id: str
    state: Literal["open", "unverified", "resolved"]
    headline: str
    evidence: str


class Party(Struct, frozen=True):
    """One person who could be asked."""

    contact_id: str
    role: str


class Heard(Struct, frozen=True):
    """What one person says of the order, as it stands."""

    who: str
    said: str
    words: str | None


class OrderView(Struct, frozen=True, kw_only=True):
    """All there is to know of an order. `verdict` None: there are not both a claim and an answer to compare."""

    order_id: str
    account_id: str | None
    account: str | None
    dimensions: dict[str, str]
    contacts: tuple[Party, ...]
    timezone: str
    first_promise: datetime | None
    latest_promise: datetime | None
    claim: Said
    claim_when_asked: Said | None
    verdict: Verdict | None
    verdict_in_words: str
    answers: tuple[Heard, ...]
    alerts: tuple[Behind, ...]
    timeline: tuple[Moment, ...]


def view_of(record: Record, alerts: Iterable[Alert], levels: Sequence[Level]) -> OrderView:
    """The order's story; `alerts` may hold any, only those that this order is behind are told."""
    order = record.order
    facts, dialogue = order.facts, order.dialogue
    behind = _behind(order, alerts, levels)
    zone_name = facts.latest.timezone if facts.known else None
    frozen = dialogue.claim_when_asked()
    experience = experience_of(dialogue.standing())
    judged = verdict(frozen, experience) if frozen is not None and dialogue.answers else None
    account = facts.latest.account if facts.known else None
    return OrderView(
        order_id=order.order_id,
        account_id=account.id if account else None,
        account=(account.name or account.id) if account else None,
        dimensions=facts.latest.dimensions if facts.known else {},
        contacts=tuple(Party(contact.id, plain_word(contact.role)) for contact in facts.latest.contacts)
        if facts.known
        else (),
        timezone=zone_name or "UTC",
        first_promise=facts.first_promise,
        latest_promise=facts.latest_promise,
        claim=_said(dialogue.claim),
        claim_when_asked=_said(frozen) if frozen is not None else None,
        verdict=judged,
        verdict_in_words=_in_words(order, frozen, judged),
        answers=tuple(
            Heard(named(order, answer.contact_id), heard(answer), answer.comment) for answer in standing(record.answers)
        ),
        alerts=tuple(Behind(alert.alert_id, alert.state, headline(alert), describe(alert)) for alert in behind),
        timeline=timeline_of(record, behind, zone_of(zone_name)),
    )


def _said(claim: Claim) -> Said:
    return Said(
        claim_in_words(claim),
        claim.delivered_at,
        claim.on_time_first,
        claim.on_time_latest,
        claim.on_time_requested,
        claim.in_full,
    )


def _in_words(order: Order, frozen: Claim | None, judged: Verdict | None) -> str:
    """The verdict in a sentence, or what is still missing for one."""
    if judged is None or frozen is None:
        if not order.dialogue.answers:
            return "Nothing to compare yet: no customer has answered."
        return "Nothing to compare: there was no question whose claim could be held against the answer."
    lived = observations(frozen, experience_of(order.dialogue.standing()))
    if judged == "agrees":
        if not lived:
            return "Agrees: the answer touches nothing that was claimed well."
        return "Agrees: the customer does not contradict what was claimed."
    if judged == "understated":
        return "Understated: it went better for the customer than was claimed."
    denied = {ON_TIME: "on time", IN_FULL: "in full", EXPERIENCE: "delivered well"}
    claims = [words for signal, words in denied.items() if lived.get(signal, 0) >= 0.5]
    return f"Embellished: claimed {' and '.join(claims)}, and the customer says otherwise."


def _behind(order: Order, alerts: Iterable[Alert], levels: Sequence[Level]) -> list[Alert]:
    """The alerts whose run this order's contradiction fell into."""
    dimensions = order.facts.latest.dimensions if order.facts.known else {}
    homes = {Segment(*TOTAL), *segments_of(dimensions, levels)}
    found = []
    for alert in alerts:
        placed = order.dialogue.placed.get(alert.signal)
        if placed is None or placed.x <= 0 or Segment(alert.dimension, alert.value) not in homes:
            continue
        over = alert.resolved_at is not None and placed.day > alert.resolved_at.toordinal()
        if order.order_id in alert.orders or (placed.day >= alert.since.toordinal() and not over):
            found.append(alert)
    return found
