"""Whom to ask about an order, decided once per purpose, each decision stored with its reason.

In a world where questions are sent (`Setup.sending`), what is decided here is due at some time; a dispatcher sends it,
and the question enters the order's dialogue when the provider has it (`feedback.requested`). Otherwise it does at once.
"""

from datetime import datetime

from pipeline.consumers.runtime import failpoints
from pipeline.domain.asking.ask_states import State, loss
from pipeline.domain.asking.eligibility import Decision, Reason, decide
from pipeline.domain.asking.quiet_hours import due_at, open_from, zones_of
from pipeline.domain.events.contract import FeedbackRequested, Purpose
from pipeline.domain.orders.dialogue import Ask, Due, Refusal
from pipeline.domain.orders.facts import contact_of
from pipeline.domain.orders.order import Order
from pipeline.store.orders.timers import ASK_LOST, Timer
from pipeline.store.unit_of_work import UnitOfWork

EXPIRY = "expiry"  # the timer of a question nobody answered
REMINDER = "reminder"  # the timer of the only reminder
LOST = ASK_LOST  # the timer a dispatcher sets when a question will not be put
DUE, SENT, ANSWERED, EXPIRED, NOT_ASKED = State.DUE, State.SENT, State.ANSWERED, State.EXPIRED, State.NOT_ASKED


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
        if decision.reason is not None:
            _refuse(order, decision, purpose, work, now)
        elif work.setup.sending:
            _schedule(order, decision, purpose, work, now)
        else:
            _request(order, decision, purpose, work, now)
    failpoints.reached("after_decision")


def _refuse(order: Order, decision: Decision, purpose: Purpose, work: UnitOfWork, now: datetime) -> None:
    order.dialogue.refusals.append(Refusal(decision.contact_id, purpose, str(decision.reason)))
    _record(order, decision, purpose, work, now)


def _schedule(order: Order, decision: Decision, purpose: Purpose, work: UnitOfWork, now: datetime) -> None:
    """Leave the question to a dispatcher, for as soon as the recipient may be disturbed."""
    policy = work.setup.policy
    contact = contact_of(order.facts, decision.contact_id)
    zones = zones_of(contact.timezone if contact else None, order.facts.latest.timezone, policy)
    happened_at = order.dialogue.claim.delivered_at if purpose == "delivery" else None
    # A reminder is a second disturbance already: it waits for nothing but the quiet hours.
    send_at = open_from(now, zones, policy) if happened_at is None else due_at(happened_at, now, zones, policy)
    if send_at is None:
        _refuse(order, Decision(decision.contact_id, Reason.QUIET_ALL_DAY), purpose, work, now)
        return
    order.dialogue.due.append(Due(decision.contact_id, purpose))
    _record(order, decision, purpose, work, now, send_at)


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


def _record(
    order: Order,
    decision: Decision,
    purpose: Purpose,
    work: UnitOfWork,
    now: datetime,
    send_at: datetime | None = None,
) -> None:
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
            "due_at": send_at,
        }
    )


def expire_later(order_id: str, contact_id: str, purpose: Purpose, work: UnitOfWork, asked_at: datetime) -> None:
    """Give the question its time to be answered."""
    work.timers.set(EXPIRY, order_id, f"{purpose}:{contact_id}", asked_at + work.setup.policy.answer_within)


def remind_later(order_id: str, contact_id: str, work: UnitOfWork, asked_at: datetime) -> None:
    """Prepare the only reminder; an answer takes it back."""
    after = work.setup.policy.remind_after
    if work.setup.sending and after is not None and after < work.setup.policy.answer_within:
        work.timers.set(REMINDER, order_id, contact_id, asked_at + after)


def remind(timer: Timer, work: UnitOfWork, now: datetime) -> None:
    """Nobody answered yet: ask a second and last time, if the first message is known to have gone out."""
    order, contact_id = work.orders.get(timer.order_id), timer.subject
    dialogue = order.dialogue
    first = next((ask for ask in dialogue.asks if ask.contact_id == contact_id), None)
    if first is None or dialogue.asked(contact_id, "reminder") or dialogue.awaits(contact_id, "reminder"):
        return
    if any(answer.contact_id == contact_id for answer in dialogue.answers):
        return
    stands = work.ask_of(order.order_id, contact_id, first.purpose)
    if stands is not None and stands.state in (State.SENT, State.DELIVERED):
        _schedule(order, Decision(contact_id, None), "reminder", work, now)


def lost(timer: Timer, work: UnitOfWork, now: datetime) -> None:
    """A question that was due will not be put: the dispatcher found a reason, and it counts like any other."""
    purpose, _, contact_id = timer.subject.partition(":")
    order = work.orders.get(timer.order_id)
    due = next((due for due in order.dialogue.due if (due.purpose, due.contact_id) == (purpose, contact_id)), None)
    stands = work.ask_of(timer.order_id, contact_id, purpose)
    reason = None if stands is None else loss(stands.state, stands.outcome)
    if due is not None and reason is not None:
        order.dialogue.lose(Refusal(contact_id, due.purpose, reason))


def answered(order: Order, contact_id: str, work: UnitOfWork) -> None:
    """Whatever this contact was asked about the order is answered now.

    An answer proves that a question arrived, even if nobody has told us yet that it was sent. One that was not sent
    yet is not needed any more.
    """
    if work.setup.sending:
        _settle(order, contact_id, work)
        work.timers.cancel(REMINDER, order.order_id, contact_id)
    for ask in order.dialogue.asks:
        if ask.contact_id == contact_id:
            work.set_ask_state(order.order_id, contact_id, ask.purpose, ANSWERED)
            work.timers.cancel(EXPIRY, order.order_id, f"{ask.purpose}:{contact_id}")


def _settle(order: Order, contact_id: str, work: UnitOfWork) -> None:
    """Take what was sent to this contact into the dialogue, and what was not sent out of it."""
    dialogue = order.dialogue
    open_ones: set[Purpose] = {due.purpose for due in dialogue.due if due.contact_id == contact_id}
    given_up: set[Purpose] = {no.purpose for no in dialogue.refusals if _is_unresolved(no, contact_id)}
    for purpose in sorted(open_ones | given_up):
        stands = work.ask_of(order.order_id, contact_id, purpose)
        if stands is not None and stands.put is not None:
            if not dialogue.asked(contact_id, purpose):
                dialogue.put(Ask(contact_id, purpose, *stands.put))
        elif purpose in open_ones:
            work.set_ask_state(order.order_id, contact_id, purpose, ANSWERED)
            dialogue.lose(Refusal(contact_id, purpose, Reason.DUPLICATE))


def _is_unresolved(refusal: Refusal, contact_id: str) -> bool:
    return refusal.contact_id == contact_id and refusal.reason == Reason.UNRESOLVED


def respect_opt_outs(order: Order, work: UnitOfWork, now: datetime) -> None:
    """Whoever wrote that they want no messages gets none: at none of the addresses the order knows of them."""
    for answer in order.dialogue.answers:
        contact = contact_of(order.facts, answer.contact_id) if answer.opt_out else None
        if contact is not None:
            work.opt_out([digest for digest in (contact.phone, contact.email) if digest], now, answer.source)
