"""Whom to ask about an order: decided once per purpose, and every decision is stored with its reason.

If questions are really sent (`Setup.sending`), each has a time at which it is due. A dispatcher sends it, and it enters
the order's dialogue when the provider has accepted it (`feedback.requested`). Otherwise it enters the dialogue at once.
"""

from datetime import datetime

from pipeline.consumers.runtime import failpoints
from pipeline.domain.asking.ask_states import AskState, loss
from pipeline.domain.asking.eligibility import Decision, Reason, decide, reminder, scheduled
from pipeline.domain.events.contract import FeedbackRequested, Purpose
from pipeline.domain.orders.dialogue import Ask, Due, Refusal
from pipeline.domain.orders.facts import contact_of
from pipeline.domain.orders.order import Order
from pipeline.store.orders.timers import ASK_LOST, Timer
from pipeline.store.unit_of_work import UnitOfWork

# Kinds of timers.
EXPIRY = "expiry"  # the time to answer is over
REMINDER = "reminder"
LOST = ASK_LOST  # set by a dispatcher: a due question will not be sent


def ask_if_delivered(order: Order, work: UnitOfWork, now: datetime) -> None:
    """Ask about a delivery as soon as the record says that everything has arrived."""
    if order.dialogue.claim.delivered_at is not None:
        ask(order, "delivery", work, now)


def ask(order: Order, purpose: Purpose, work: UnitOfWork, now: datetime) -> None:
    """Decide for every contact of the order, unless that is done already. Historic orders are not asked about."""
    facts, policy = order.facts, work.setup.policy
    if facts.historic or order.dialogue.decided(purpose):
        return
    latest = facts.latest
    digests = {digest for c in latest.contacts for digest in (c.phone, c.email) if digest is not None}
    history = work.asks.history(latest.account.id, digests, now)
    decisions = decide(order, purpose, history, policy, now)
    if work.setup.sending:
        decisions = [scheduled(order, decision, purpose, policy, now) for decision in decisions]
    for decision in decisions:
        _record(order, decision, purpose, work, now)
    failpoints.reached("after_decision")


def _record(order: Order, decision: Decision, purpose: Purpose, work: UnitOfWork, now: datetime) -> None:
    """Record a decision: the reason not to ask, the time to send, or without sending that the question is asked."""
    dialogue, contact_id = order.dialogue, decision.contact_id
    work.asks.add(
        {
            "order_id": order.order_id,
            "contact_id": contact_id,
            "purpose": purpose,
            "account_id": order.facts.latest.account.id,
            "decided_at": now,
            "reason": None if decision.reason is None else str(decision.reason),
            "channel": decision.channel if decision.reason is None else None,
            "state": AskState.DUE if decision.reason is None else AskState.NOT_ASKED,
            "due_at": decision.send_at,
        }
    )
    if decision.reason is not None:
        dialogue.refusals.append(Refusal(contact_id, purpose, str(decision.reason)))
    elif decision.send_at is not None:
        dialogue.due.append(Due(contact_id, purpose))
    else:
        dialogue.asks.append(Ask(contact_id, purpose, now, dialogue.claim))
        schedule_expiry(order.order_id, contact_id, purpose, work, now)
        _publish_request(order, decision, purpose, work, now)


def _publish_request(order: Order, decision: Decision, purpose: Purpose, work: UnitOfWork, now: datetime) -> None:
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


def schedule_expiry(order_id: str, contact_id: str, purpose: Purpose, work: UnitOfWork, asked_at: datetime) -> None:
    """Set the timer that ends the time to answer."""
    work.timers.set(EXPIRY, order_id, f"{purpose}:{contact_id}", asked_at + work.setup.policy.answer_within)


def schedule_reminder(order_id: str, contact_id: str, work: UnitOfWork, asked_at: datetime) -> None:
    """Set the timer of the only reminder. An answer cancels it."""
    after = work.setup.policy.remind_after
    if work.setup.sending and after is not None and after < work.setup.policy.answer_within:
        work.timers.set(REMINDER, order_id, contact_id, asked_at + after)


def handle_reminder(timer: Timer, work: UnitOfWork, now: datetime) -> None:
    """Without an answer, ask a second and last time, if the first message is known to have been sent."""
    order, contact_id = work.orders.get(timer.order_id), timer.subject
    dialogue = order.dialogue
    first = next((ask for ask in dialogue.asks if ask.contact_id == contact_id), None)
    if first is None or dialogue.asked(contact_id, "reminder") or dialogue.is_due(contact_id, "reminder"):
        return
    if any(answer.contact_id == contact_id for answer in dialogue.answers):
        return
    status = work.asks.status_of(order.order_id, contact_id, first.purpose)
    if status is not None and status.state in (AskState.SENT, AskState.DELIVERED):
        decision = scheduled(order, reminder(order, contact_id, work.setup.policy), "reminder", work.setup.policy, now)
        _record(order, decision, "reminder", work, now)


def handle_lost(timer: Timer, work: UnitOfWork, now: datetime) -> None:
    """A due question will not be sent: the dispatcher found a reason, which is recorded like any other refusal."""
    purpose, _, contact_id = timer.subject.partition(":")
    dialogue = work.orders.get(timer.order_id).dialogue
    due = next((due for due in dialogue.due if (due.purpose, due.contact_id) == (purpose, contact_id)), None)
    status = work.asks.status_of(timer.order_id, contact_id, purpose)
    reason = None if status is None else loss(status.state, status.outcome)
    if due is not None and reason is not None:
        dialogue.add_refusal(Refusal(contact_id, due.purpose, reason))


def handle_expiry(timer: Timer, work: UnitOfWork, now: datetime) -> None:
    """The time to answer is over. A later answer still counts."""
    purpose, _, contact_id = timer.subject.partition(":")
    work.asks.set_state(timer.order_id, contact_id, purpose, AskState.EXPIRED)


def close_asks(order: Order, contact_id: str, work: UnitOfWork) -> None:
    """Mark all questions about the order to this contact as answered.

    An answer proves that a question arrived, even if the provider has not reported yet that it was sent. A question
    that was not sent yet is not needed any more.
    """
    if work.setup.sending:
        _settle_pending(order, contact_id, work)
        work.timers.cancel(REMINDER, order.order_id, contact_id)
    for ask in order.dialogue.asks:
        if ask.contact_id == contact_id:
            work.asks.set_state(order.order_id, contact_id, ask.purpose, AskState.ANSWERED)
            work.timers.cancel(EXPIRY, order.order_id, f"{ask.purpose}:{contact_id}")


def _settle_pending(order: Order, contact_id: str, work: UnitOfWork) -> None:
    """Add to the dialogue what was sent to this contact without a report, and drop what is still due."""
    dialogue = order.dialogue
    due: set[Purpose] = {due.purpose for due in dialogue.due if due.contact_id == contact_id}
    unresolved: set[Purpose] = {no.purpose for no in dialogue.refusals if _is_unresolved(no, contact_id)}
    for purpose in sorted(due | unresolved):
        status = work.asks.status_of(order.order_id, contact_id, purpose)
        if status is not None and status.sent_on is not None:
            if not dialogue.asked(contact_id, purpose):
                dialogue.add_ask(Ask(contact_id, purpose, *status.sent_on))
        elif purpose in due:
            work.asks.set_state(order.order_id, contact_id, purpose, AskState.ANSWERED)
            dialogue.add_refusal(Refusal(contact_id, purpose, Reason.DUPLICATE))


def _is_unresolved(refusal: Refusal, contact_id: str) -> bool:
    return refusal.contact_id == contact_id and refusal.reason == Reason.UNRESOLVED


def respect_opt_outs(order: Order, work: UnitOfWork, now: datetime) -> None:
    """Opt out every contact who asked for it in an answer, with all addresses that the order names of them."""
    for answer in order.dialogue.answers:
        contact = contact_of(order.facts, answer.contact_id) if answer.opt_out else None
        if contact is not None:
            work.asks.opt_out([digest for digest in (contact.phone, contact.email) if digest], now, answer.source)
