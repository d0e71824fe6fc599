"""Whom to ask about an order: decided once per purpose, and every decision is stored with its reason.

If questions are really sent (`Setup.sending`), each has a time at which it is due. A dispatcher sends it, and it enters
the order's dialogue when the provider has accepted it (`feedback.requested`). Otherwise it enters the dialogue at once.
"""

from datetime import datetime
from typing import Any

from msgspec import structs

from pipeline.consumers.runtime import failpoints
from pipeline.consumers.silence import orders as silence
from pipeline.domain.asking.ask_states import REFUSED_FOR_GOOD, AskState, loss
from pipeline.domain.asking.channels import addresses_of
from pipeline.domain.asking.eligibility import (
    Decision,
    History,
    Reason,
    address,
    address_changed,
    decide,
    fallback,
    is_answerable,
    reconsidered,
    reminder,
    scheduled,
)
from pipeline.domain.asking.policy import Policy
from pipeline.domain.events.contract import RESPONSE, SETTLED, Contact, FeedbackRequested, Purpose
from pipeline.domain.orders.dialogue import Ask, Due, Refusal
from pipeline.domain.orders.endings import ending_of
from pipeline.domain.orders.facts import contact_of
from pipeline.domain.orders.order import Order
from pipeline.store.asks.ask_store import AskStatus
from pipeline.store.asks.outcomes import AskKey
from pipeline.store.orders.timers import ASK_LOST, Timer
from pipeline.store.orders.timers import REMINDER as REMINDER_TIMER
from pipeline.store.unit_of_work import UnitOfWork

# Kinds of timers.
EXPIRY = "expiry"  # the time to answer is over
REMINDER = REMINDER_TIMER
LOST = ASK_LOST  # set by a dispatcher: a due question will not be sent


def ask_if_delivered(order: Order, work: UnitOfWork, now: datetime) -> None:
    """Ask about a delivery as soon as the record says that everything has arrived, and follow its corrections."""
    if not order.facts.known or order.facts.historic:
        return
    _follow_delivery(order, work, now)
    if order.dialogue.claim.delivered_at is not None:
        ask(order, "delivery", work, now)
    elif "missing_scan" in order.dialogue.decided_at and ending_of(order.facts) is None:
        ask(order, "missing_scan", work, now)


def ask(order: Order, purpose: Purpose, work: UnitOfWork, now: datetime) -> None:
    """Decide for every contact of the order; after that, for those whose refusal a revision has lifted.

    Historic orders are not asked about, nor again those that another system asks about.
    """
    facts, dialogue, policy = order.facts, order.dialogue, work.setup.policy
    if facts.historic:
        return
    if dialogue.decided(purpose):
        if not reconsidered(order, purpose, policy, now):
            return
    elif purpose == "missing_scan":
        # What waits for a delivery that was taken back ends: the question is now whether anything arrived.
        withdraw_due(order, "delivery", Reason.DELIVERY_TAKEN_BACK, work)
    decisions = decide(order, purpose, history_of(order, work, now), policy, now)
    if work.setup.sending:
        decisions = [scheduled(order, decision, purpose, policy, now) for decision in decisions]
    for decision in decisions:
        _record(order, decision, purpose, work, now)
    silence.watch(order, work, now)
    dialogue.decided_at.setdefault(purpose, now)
    failpoints.reached("after_decision")


def history_of(order: Order, work: UnitOfWork, now: datetime) -> History:
    """What eligibility depends on, of all contacts of the order."""
    contacts, policy = order.facts.contacts, work.setup.policy
    addresses = {to for contact in contacts if (to := address(contact, policy.channels_for(contact))) is not None}
    account_id, theirs = order.facts.latest.account.id, {c.id: addresses_of(c) for c in contacts}
    work.asks.load_silent({(account_id, contact_id): digests for contact_id, digests in theirs.items()})
    return work.asks.history(account_id, addresses, addresses.union(*theirs.values()), now)


def _follow_delivery(order: Order, work: UnitOfWork, now: datetime) -> None:
    """Move the due questions about a delivery with it. While it is taken back, the dispatcher does not send them."""
    dialogue, policy = order.dialogue, work.setup.policy
    delivered_at = dialogue.claim.delivered_at
    for n, due in enumerate(dialogue.due):
        if due.purpose != "delivery" or due.delivered_at == delivered_at:
            continue
        dialogue.due[n] = structs.replace(due, delivered_at=delivered_at)
        moved = scheduled(order, Decision(due.contact_id, None), due.purpose, policy, now)
        if delivered_at is not None and moved.send_at is not None:
            key = AskKey(order.order_id, due.contact_id, due.purpose)
            work.asks.reschedule(key, moved.send_at, now + policy.send_within)


def withdraw_due(order: Order, purpose: Purpose, reason: Reason, work: UnitOfWork) -> None:
    """End the due questions for a purpose, except those that may be being sent just now."""
    dialogue = order.dialogue
    for due in [due for due in dialogue.due if due.purpose == purpose]:
        if work.asks.withdraw(AskKey(order.order_id, due.contact_id, due.purpose)):
            dialogue.add_refusal(Refusal(due.contact_id, due.purpose, reason))


def _record(order: Order, decision: Decision, purpose: Purpose, work: UnitOfWork, now: datetime) -> None:
    """Record a decision: the reason not to ask, the time to send, or without sending that the question is asked."""
    dialogue, contact_id = order.dialogue, decision.contact_id
    earlier = [no for no in dialogue.refusals if (no.contact_id, no.purpose) == (contact_id, purpose)]
    if earlier and decision.reason == earlier[-1].reason:
        return  # it stands as it was recorded
    row = decision_row(order, decision, purpose, work, now)
    if earlier:
        work.asks.decide_again(row, len(earlier), now + work.setup.policy.send_within)
    else:
        work.asks.add(row)
    if decision.reason is not None:
        dialogue.refusals.append(Refusal(contact_id, purpose, str(decision.reason)))
    elif decision.send_at is not None:
        dialogue.due.append(Due(contact_id, purpose, dialogue.claim.delivered_at))
    else:
        dialogue.asks.append(Ask(contact_id, purpose, now, dialogue.claim))
        schedule_expiry(order.order_id, contact_id, purpose, work, now)
        publish_request(order, decision, purpose, work, now)


def decision_row(order: Order, decision: Decision, purpose: Purpose, work: UnitOfWork, now: datetime) -> dict[str, Any]:
    """The decision as it is stored. Notes what the address says about the contact."""
    contact_id, account_id = decision.contact_id, order.facts.latest.account.id
    contact = contact_of(order.facts, contact_id)
    to = None if contact is None else _address_of(contact, decision, work.setup.policy)
    if to is not None and purpose not in ("reminder", SETTLED, RESPONSE):
        _note_address(order, contact_id, to, work, now)
    return {
        "order_id": order.order_id,
        "contact_id": contact_id,
        "purpose": purpose,
        "account_id": account_id,
        "decided_at": now,
        "reason": None if decision.reason is None else str(decision.reason),
        "channel": decision.channel if decision.reason is None else None,
        "state": AskState.DUE if decision.reason is None else AskState.NOT_ASKED,
        "due_at": decision.send_at,
        "address": to,
        "role": None if contact is None else contact.role,
    }


def _address_of(contact: Contact, decision: Decision, policy: Policy) -> str | None:
    """The address that a decision is about: on the channel decided on, else on the one that serves the contact."""
    channel = policy.channel(decision.channel)
    return address(contact, policy.channels_for(contact)) if channel is None else channel.address(contact)


def _note_address(order: Order, contact_id: str, to: str, work: UnitOfWork, now: datetime) -> None:
    """Note that the address also serves other accounts, or that it was another one shortly before. Counts, no sign."""
    dialogue, account_id, earlier = order.dialogue, order.facts.latest.account.id, work.asks.earlier
    if earlier.is_shared(to, account_id, now) and contact_id not in dialogue.shared_addresses:
        dialogue.shared_addresses.append(contact_id)
    changed = earlier.has_changed(to, account_id, contact_id, now) or address_changed(order, to, work.setup.policy)
    if changed and contact_id not in dialogue.changed_addresses:
        dialogue.changed_addresses.append(contact_id)


def publish_request(order: Order, decision: Decision, purpose: Purpose, work: UnitOfWork, now: datetime) -> None:
    """Publish that a question is asked, in an installation that sends none itself."""
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
    if any(answer.contact_id == contact_id for answer in dialogue.answers) or not is_answerable(order, "reminder"):
        return
    status = work.asks.status_of(order.order_id, contact_id, first.purpose)
    decision = None if status is None else _reminder(order, contact_id, status, work, now)
    if decision is not None:
        decision = scheduled(order, decision, "reminder", work.setup.policy, now)
        _record(order, decision, "reminder", work, now)


def _reminder(order: Order, contact_id: str, status: AskStatus, work: UnitOfWork, now: datetime) -> Decision | None:
    """The decision to remind. After a message that failed for good, on the contact's next channel; None: there is none.

    None, too, while it is not known that the first message was sent.
    """
    if status.state in (AskState.SENT, AskState.DELIVERED):
        return reminder(order, contact_id, work.setup.policy)
    contact = contact_of(order.facts, contact_id)
    if contact is None or status.state is not AskState.FAILED:
        return None
    channel = fallback(contact, status.channel, history_of(order, work, now), work.setup.policy)
    return None if channel is None else Decision(contact_id, None, channel.name)


def handle_lost(timer: Timer, work: UnitOfWork, now: datetime) -> None:
    """A due question will not be sent: the dispatcher found a reason, which is recorded like any other refusal."""
    purpose, _, contact_id = timer.subject.partition(":")
    dialogue = work.orders.get(timer.order_id).dialogue
    due = next((due for due in dialogue.due if (due.purpose, due.contact_id) == (purpose, contact_id)), None)
    status = work.asks.status_of(timer.order_id, contact_id, purpose)
    reason = None if status is None else loss(status.state, status.outcome)
    if due is None or status is None or reason is None:
        return
    if not _fall_back(work.orders.get(timer.order_id), due, status, work, now):
        dialogue.add_refusal(Refusal(contact_id, due.purpose, reason))


def _fall_back(order: Order, due: Due, status: AskStatus, work: UnitOfWork, now: datetime) -> bool:
    """Move a question that the provider refused for good to the contact's next channel. False: there is none."""
    contact, policy = contact_of(order.facts, due.contact_id), work.setup.policy
    if contact is None or status.outcome not in REFUSED_FOR_GOOD:
        return False
    channel = fallback(contact, status.channel, history_of(order, work, now), policy)
    if channel is None:
        return False
    again = scheduled(order, Decision(due.contact_id, None, channel.name), due.purpose, policy, now)
    if again.send_at is None:
        return False
    key = AskKey(order.order_id, due.contact_id, due.purpose)
    work.asks.move(key, channel, channel.address(contact), again.send_at, now + policy.send_within)
    return True


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
    """Opt out every contact who asked for it in an answer, with the addresses that the order names of them.

    What was written from an address before it was theirs counts, too.
    """
    facts = order.facts
    if not facts.known:
        return
    account_id = facts.latest.account.id
    if not facts.historic:
        work.asks.load_silent({(account_id, contact.id): addresses_of(contact) for contact in facts.contacts})
    for answer in order.dialogue.answers:
        if answer.opt_out:
            contact = contact_of(facts, answer.contact_id)
            theirs = () if contact is None else addresses_of(contact)
            work.asks.opt_out((account_id, answer.contact_id), theirs, now, answer.source, answer.id)
