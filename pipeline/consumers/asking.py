"""Whom to ask about an order, decided once per purpose, each decision stored with its reason."""

from datetime import datetime

from pipeline.domain.eligibility import Decision, decide
from pipeline.domain.events import FeedbackRequested, Purpose
from pipeline.domain.orders import Ask, Order, Refusal, contact_of
from pipeline.store.unit_of_work import UnitOfWork

EXPIRY = "expiry"  # the timer of a question nobody answered
DUE, SENT, ANSWERED, EXPIRED, NOT_ASKED = "due", "sent", "answered", "expired", "not_asked"


def ask_if_delivered(order: Order, work: UnitOfWork, now: datetime) -> None:
    """The moment of fulfilment: ask when everything has arrived by the record."""
    if order.facts.known and not order.facts.historic and order.dialogue.claim.delivered_at is not None:
        ask(order, "delivery", work, now)


def ask(order: Order, purpose: Purpose, work: UnitOfWork, now: datetime) -> None:
    """Decide for every contact of the order, unless that was done before. Nobody is asked about the past."""
    facts, dialogue = order.facts, order.dialogue
    if facts.historic or dialogue.decided(purpose):
        return
    account_id = facts.latest.account.id
    digests = {digest for c in facts.latest.contacts for digest in (c.phone, c.email) if digest is not None}
    history = work.history(account_id, digests, now)
    for decision in decide(order, purpose, history, work.setup.policy, now):
        if decision.reason is None:
            _request(order, decision, purpose, work, now)
        else:
            dialogue.refusals.append(Refusal(decision.contact_id, purpose, decision.reason))
            _record(order, decision, purpose, work, now)


def _request(order: Order, decision: Decision, purpose: Purpose, work: UnitOfWork, now: datetime) -> None:
    order.dialogue.asks.append(Ask(decision.contact_id, purpose, now, order.dialogue.claim))
    _record(order, decision, purpose, work, now)
    expire_later(order.order_id, decision.contact_id, purpose, work, now)
    contact = contact_of(order.facts, decision.contact_id)
    work.emit(
        "feedback.requested",
        f"{order.order_id}:{purpose}:{decision.contact_id}",
        now,
        FeedbackRequested(
            order_id=order.order_id,
            contact_id=decision.contact_id,
            purpose=purpose,
            channel=decision.channel,
            account_id=order.facts.latest.account.id,
            role=contact.role if contact else None,
            language=contact.language if contact else None,
        ),
    )


def _record(order: Order, decision: Decision, purpose: Purpose, work: UnitOfWork, now: datetime) -> None:
    asked = decision.reason is None
    work.record_ask(
        {
            "order_id": order.order_id,
            "contact_id": decision.contact_id,
            "purpose": purpose,
            "account_id": order.facts.latest.account.id,
            "decided_at": now,
            "reason": None if decision.reason is None else str(decision.reason),
            "channel": decision.channel if asked else None,
            "state": DUE if asked else NOT_ASKED,
        }
    )


def expire_later(order_id: str, contact_id: str, purpose: Purpose, work: UnitOfWork, asked_at: datetime) -> None:
    """Give the question its time to be answered."""
    work.timers.set(EXPIRY, order_id, f"{purpose}:{contact_id}", asked_at + work.setup.policy.answer_within)


def answered(order: Order, contact_id: str, work: UnitOfWork) -> None:
    """Whatever this contact was asked about the order is answered now."""
    for ask in order.dialogue.asks:
        if ask.contact_id == contact_id:
            work.set_ask_state(order.order_id, contact_id, ask.purpose, ANSWERED)
            work.timers.cancel(EXPIRY, order.order_id, f"{ask.purpose}:{contact_id}")


def respect_opt_outs(order: Order, work: UnitOfWork, now: datetime) -> None:
    """Whoever wrote that they want no messages gets none: at none of the addresses the order knows of them."""
    for answer in order.dialogue.answers:
        contact = contact_of(order.facts, answer.contact_id) if answer.opt_out else None
        if contact is not None:
            work.opt_out([digest for digest in (contact.phone, contact.email) if digest], now, answer.source)
