"""The view of one order that the page and the read API share: claim, experience, verdict, alerts and timeline.

Names and addresses are encrypted and appear in neither; people appear by id and role.
"""

from collections.abc import Iterable, Iterator, Sequence
from datetime import datetime
from typing import Literal

from msgspec import Struct

from pipeline.domain.answers.answer import current_answers
from pipeline.domain.answers.reading.comments import CommentLabel, CommentReader
from pipeline.domain.detection.pairs import (
    EXPERIENCE,
    IN_FULL,
    ON_TIME,
    Verdict,
    experience_of,
    observations,
    verdict_of,
)
from pipeline.domain.detection.segments import TOTAL, Level, Segment, segments_of
from pipeline.domain.events.contract import QR, Contact
from pipeline.domain.orders.claims import Claim
from pipeline.domain.orders.order import Order
from pipeline.domain.reports.alerts import Alert
from pipeline.notifiers.wording.sentences import describe, headline
from pipeline.store.reads.order_record import OrderRecord
from pipeline.web.internal.orders.timeline import TimelineEntry, timeline_of
from pipeline.web.internal.words import claim_in_words, named, plain_word, statement_in_words, zone_of

_comments = CommentReader()


class ClaimView(Struct, frozen=True):
    """A claim in words, and its parts. None: not stated."""

    summary: str
    delivered_at: datetime | None
    on_time_first: bool | None
    on_time_latest: bool | None
    on_time_requested: bool | None
    in_full: bool | None


class SupportedAlert(Struct, frozen=True):
    """An alert whose evidence includes this order."""

    alert_id: str
    state: Literal["open", "unverified", "resolved"]
    headline: str
    evidence: str


class ContactView(Struct, frozen=True):
    """A person the order names, and what was known of their address when it was decided whether to ask."""

    contact_id: str
    role: str
    address_shared: bool = False
    """It also serves another account."""
    address_changed: bool = False
    """It was another one shortly before the order was completed."""


class AnswerView(Struct, frozen=True):
    """The current answer of one person. `words`: the comment. `about`: its labels."""

    who: str
    said: str
    words: str | None
    about: tuple[CommentLabel, ...] = ()


class OrderView(Struct, frozen=True, kw_only=True):
    """Everything known about an order. `verdict` is None unless there are a claim and an answer to compare."""

    order_id: str
    account_id: str | None
    account: str | None
    dimensions: dict[str, str]
    contacts: tuple[ContactView, ...]
    timezone: str
    first_promise: datetime | None
    latest_promise: datetime | None
    claim: ClaimView
    claim_when_asked: ClaimView | None
    verdict: Verdict | None
    verdict_in_words: str
    answers: tuple[AnswerView, ...]
    alerts: tuple[SupportedAlert, ...]
    timeline: tuple[TimelineEntry, ...]


def view_of(record: OrderRecord, alerts: Iterable[Alert], levels: Sequence[Level], scoped: bool = False) -> OrderView:
    """The view of an order; of `alerts` it shows those whose evidence includes the order.

    `scoped`: the reader sees a part of the fleet.
    """
    order = record.order
    facts, dialogue = order.facts, order.dialogue
    supported = _supported(order, alerts, levels)
    zone_name = facts.latest.timezone if facts.known else None
    frozen = dialogue.claim_when_asked()
    judged = verdict_of(order)
    account = facts.latest.account if facts.known else None
    contacts = facts.latest.contacts if facts.known else ()
    return OrderView(
        order_id=order.order_id,
        account_id=account.id if account else None,
        account=(account.name or account.id) if account else None,
        dimensions=facts.latest.dimensions if facts.known else {},
        contacts=tuple(_contact_view(contact, order) for contact in contacts),
        timezone=zone_name or "UTC",
        first_promise=facts.first_promise,
        latest_promise=facts.latest_promise,
        claim=_claim_view(dialogue.claim),
        claim_when_asked=_claim_view(frozen) if frozen is not None else None,
        verdict=judged,
        verdict_in_words=_verdict_in_words(order, frozen, judged),
        answers=tuple(_answer_views(record)),
        alerts=tuple(
            SupportedAlert(alert.alert_id, alert.state, headline(alert), describe(alert, scoped)) for alert in supported
        ),
        timeline=timeline_of(record, supported, zone_of(zone_name)),
    )


def _answer_views(record: OrderRecord) -> Iterator[AnswerView]:
    """The current answer of each person, then every answer by the code on the delivery note."""
    for answer in current_answers(answer for answer in record.answers if answer.channel != QR):
        who = named(record.order, answer.contact_id)
        yield AnswerView(who, statement_in_words(answer.statement), answer.comment, _about(answer.comment))
    for answer in record.answers:
        if answer.channel == QR:
            said = f"{statement_in_words(answer.statement)} (no evidence)"
            yield AnswerView("by the code on the delivery note", said, answer.comment, _about(answer.comment))


def _about(comment: str | None) -> tuple[CommentLabel, ...]:
    """What a comment is about, by its words."""
    return () if comment is None else tuple(one.label for one in _comments.read(comment))


def _contact_view(contact: Contact, order: Order) -> ContactView:
    dialogue = order.dialogue
    return ContactView(
        contact.id,
        plain_word(contact.role),
        contact.id in dialogue.shared_addresses,
        contact.id in dialogue.changed_addresses,
    )


def _claim_view(claim: Claim) -> ClaimView:
    return ClaimView(
        claim_in_words(claim),
        claim.delivered_at,
        claim.on_time_first,
        claim.on_time_latest,
        claim.on_time_requested,
        claim.in_full,
    )


def _verdict_in_words(order: Order, frozen: Claim | None, judged: Verdict | None) -> str:
    """The verdict in a sentence, or why there is none."""
    if judged is None or frozen is None:
        if not order.dialogue.answers:
            return "Nothing to compare yet: no customer has answered."
        return "Nothing to compare: no question was sent, so there is no frozen claim to compare the answer with."
    contradictions = observations(frozen, experience_of(order.dialogue.current_answers()))
    if judged == "not_comparable":
        if not order.dialogue.is_understood():
            return "Not comparable: the reply states nothing that could be compared. It waits in the inbox to be read."
        return "Not comparable: the answer says nothing about what was claimed."
    if judged == "agrees":
        if not contradictions:
            return "Agrees: the customer confirms what operations admits."
        return "Agrees: the customer does not contradict the claim."
    if judged == "understated":
        return "Understated: the customer’s experience was better than the claim."
    contradicted = {ON_TIME: "on time", IN_FULL: "in full", EXPERIENCE: "well"}
    claims = [words for signal, words in contradicted.items() if contradictions.get(signal, 0) >= 0.5]
    return f"Embellished: claimed as delivered {' and '.join(claims)}, but the customer says otherwise."


def _supported(order: Order, alerts: Iterable[Alert], levels: Sequence[Level]) -> list[Alert]:
    """The alerts whose run of contradictions includes this order's."""
    dimensions = order.facts.dimensions if order.facts.known else {}
    homes = {Segment(*TOTAL), *segments_of(dimensions, levels)}
    found = []
    for alert in alerts:
        pair = order.dialogue.pairs.get(alert.signal)
        if pair is None or pair.x <= 0 or Segment(alert.dimension, alert.value) not in homes:
            continue
        over = alert.resolved_at is not None and pair.day > alert.resolved_at.toordinal()
        if order.order_id in alert.orders or (pair.day >= alert.since.toordinal() and not over):
            found.append(alert)
    return found
