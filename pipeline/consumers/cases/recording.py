"""What every act of a case leads to: it is stored and published, and the timers of the case follow it."""

from datetime import datetime

from pipeline.domain.cases.case import Case, CaseAct, event_of
from pipeline.domain.events.contract import QR_CONTACT, SETTLED
from pipeline.store.asks.outcomes import AskKey
from pipeline.store.unit_of_work import UnitOfWork

# Kinds of timers.
CASE_DUE = "case_due"  # a case is to be settled by now; its subject is the contact, or the number of the incident
CASE_ASK = "case_ask"  # decide whether the contact, its subject, is asked whether the case is settled


def record(case: Case, act: CaseAct, words: str | None, work: UnitOfWork, now: datetime) -> None:
    """Store and publish an act of a case that has changed. `words`: sealed."""
    if act.what == "closed":
        _begin_follow_up(case, work, now)
    elif act.change == "reopened":
        _suspend_follow_up(case, work)
    case.acts += 1
    event = event_of(case, act, now)
    work.cases.add_act(event, act, words)
    work.cases.save(case)
    work.emit(f"case.{act.what}", f"{case.case_id}:{case.acts}", now, event)
    _watch_due(case, work)


def _watch_due(case: Case, work: UnitOfWork) -> None:
    """Set the timer of the due time, or cancel that of a closed case."""
    order_id, subject = case.order_id or "", str(case.contact_id if case.incident is None else case.incident)
    if case.closed_at is not None:
        work.timers.cancel(CASE_DUE, order_id, subject)
    elif not case.overdue:
        work.timers.set(CASE_DUE, order_id, subject, case.due_at)


def _begin_follow_up(case: Case, work: UnitOfWork, now: datetime) -> None:
    """The first closing: whether the customer is asked is decided by whoever fires timers, who may send."""
    if case.order_id is None or case.contact_id is None or case.follow_up is not None:
        return
    if case.contact_id == QR_CONTACT or not work.setup.cases.asks_if_settled:
        return
    case.follow_up = "waiting"
    work.timers.set(CASE_ASK, case.order_id, case.contact_id, now)


def _suspend_follow_up(case: Case, work: UnitOfWork) -> None:
    """The case is open again before the customer was asked: the next closing asks."""
    if case.order_id is None or case.contact_id is None:
        return
    if case.follow_up == "waiting":
        work.timers.cancel(CASE_ASK, case.order_id, case.contact_id)
        case.follow_up = None
    elif case.follow_up == "due" and work.asks.withdraw(AskKey(case.order_id, case.contact_id, SETTLED)):
        case.follow_up = None
