"""The question whether a case is settled: asked once for an order and a contact, after the first closing, by the rules
for every question. Its answer confirms or reopens the case, and changes no pair.

The question is in no dialogue: figures and evidence do not know it.
"""

from datetime import datetime, timedelta
from typing import Any, NamedTuple

from pipeline.consumers import asking
from pipeline.consumers.asking import decision_row, history_of, publish_request, schedule_expiry
from pipeline.consumers.cases.recording import CASE_ASK, record
from pipeline.domain.answers.answer import answered_at
from pipeline.domain.answers.parsed_reply import ParsedReply, printable_part
from pipeline.domain.answers.settled import settled_of
from pipeline.domain.asking.ask_states import AskState, SendOutcome, loss
from pipeline.domain.asking.eligibility import Decision, History, follow_up, rested_at, scheduled
from pipeline.domain.cases import lifecycle
from pipeline.domain.cases.case import Case
from pipeline.domain.events.cases import FollowUp
from pipeline.domain.events.contract import SETTLED, BadEvent, Event, FeedbackReceived, FeedbackRequested
from pipeline.domain.orders.order import Order
from pipeline.store.asks.outcomes import AskKey
from pipeline.store.orders.timers import Timer
from pipeline.store.unit_of_work import UnitOfWork

_NO_HISTORY = History({}, 0, frozenset())
ASK_WITHIN = timedelta(days=30)
"""From the closing: so long the question waits for the rest of its contact."""


class SettledReply(NamedTuple):
    """What a reply to the question says, and the words to keep with it."""

    settled: bool
    words: str | None


def read_reply(text: str, parsed: ParsedReply, language: str | None) -> SettledReply | None:
    """What a text says. Only a clear yes is one: a person reads everything else. None: a device wrote it."""
    if parsed.automatic:
        return None
    said = settled_of(text, language)
    return SettledReply(bool(said), printable_part(text) or None if said is None or parsed.comment else None)


def answer_data(order_id: str, contact_id: str, channel: str, at: datetime, said: SettledReply) -> dict[str, Any]:
    """The data of the `feedback.received` with the answer."""
    return {
        "order_id": order_id,
        "contact_id": contact_id,
        "channel": channel,
        "answered_at": at,
        "settled": said.settled,
        "comment": said.words,
    }


def handle_ask(timer: Timer, work: UnitOfWork, now: datetime) -> None:
    """A case was closed, or the rest of its contact is over: ask, wait longer, or record why not."""
    case = _case(timer.order_id, timer.subject, work)
    if case is None or case.closed_at is None or case.follow_up != "waiting":
        return
    order = work.orders.get(timer.order_id)
    decision = _decision(order, case, work, now)
    if decision is None:
        return
    if work.setup.sending:
        decision = scheduled(order, decision, SETTLED, work.setup.policy, now)
    work.cases.save(case)
    case.follow_up = _ask(order, decision, work, now)


def _case(order_id: str, contact_id: str, work: UnitOfWork) -> Case | None:
    work.lock_case(order_id)
    return work.cases.of_order(order_id, contact_id)


def _decision(order: Order, case: Case, work: UnitOfWork, now: datetime) -> Decision | None:
    """Whether to ask; None: not yet, and the timer is set anew."""
    contact_id, policy = case.contact_id or "", work.setup.policy
    if not order.facts.known:
        return follow_up(order, contact_id, _NO_HISTORY, policy, now)
    history = history_of(order, work, now)
    decision = follow_up(order, contact_id, history, policy, now)
    later = rested_at(order, decision, history, policy, now)
    if later is None or case.closed_at is None or later > case.closed_at + ASK_WITHIN:
        return decision
    work.timers.set(CASE_ASK, order.order_id, contact_id, later)
    return None


def _ask(order: Order, decision: Decision, work: UnitOfWork, now: datetime) -> FollowUp:
    """Record a decision. Returns what becomes of the question."""
    contact_id = decision.contact_id
    status = work.asks.status_of(order.order_id, contact_id, SETTLED)
    if status is not None:
        if status.outcome is not SendOutcome.TAKEN_BACK or decision.send_at is None:
            return "not_asked"
        key = AskKey(order.order_id, contact_id, SETTLED)
        work.asks.reschedule(key, decision.send_at, now + work.setup.policy.send_within)
        return "due"
    if not order.facts.known:
        return "not_asked"
    work.asks.add(decision_row(order, decision, SETTLED, work, now))
    if decision.reason is not None:
        return "not_asked"
    if decision.send_at is not None:
        return "due"
    schedule_expiry(order.order_id, contact_id, SETTLED, work, now)
    publish_request(order, decision, SETTLED, work, now)
    return "asked"


def requested(event: Event, work: UnitOfWork) -> None:
    """`feedback.requested` of this purpose: the question was sent, by us or by another system."""
    data: FeedbackRequested = event.data
    case = _case(data.order_id, data.contact_id, work)
    if case is None or case.follow_up in ("yes", "no", "asked"):
        return
    case.follow_up = "asked"
    work.cases.save(case)
    work.timers.cancel(CASE_ASK, data.order_id, data.contact_id)
    schedule_expiry(data.order_id, data.contact_id, SETTLED, work, event.time)


def answered(event: Event, work: UnitOfWork, now: datetime) -> None:
    """The customer says whether it is settled. Raises BadEvent if there is no case that they could mean."""
    data: FeedbackReceived = event.data
    case = _case(data.order_id, data.contact_id, work)
    if case is None:
        raise BadEvent("there is no case of this contact about this order", "data.settled")
    work.asks.set_state(data.order_id, data.contact_id, SETTLED, AskState.ANSWERED)
    work.timers.cancel(asking.EXPIRY, data.order_id, f"{SETTLED}:{data.contact_id}")
    at = answered_at(event) or event.received_at
    act = lifecycle.answer(case, bool(data.settled), data.comment, at, work.setup.cases, now)
    if act is not None:
        record(case, act, act.words, work, now)


def handle_lost(timer: Timer, work: UnitOfWork, now: datetime) -> None:
    """A due question will not be sent."""
    purpose, _, contact_id = timer.subject.partition(":")
    if purpose != SETTLED:
        asking.handle_lost(timer, work, now)
        return
    case, status = _case(timer.order_id, contact_id, work), work.asks.status_of(timer.order_id, contact_id, SETTLED)
    if case is not None and case.follow_up == "due" and status is not None and loss(status.state, status.outcome):
        case.follow_up = "not_asked"
        work.cases.save(case)
