"""What opens a case and what time does to it: complaints and requests of answers, incidents, the due time.

One case for an order and a contact: a further complaint joins it, and reopens it if it was closed. Complaints about the
past (historic events) open none.
"""

from datetime import datetime

from pipeline.consumers.cases.recording import record
from pipeline.domain.answers.statement import Statement
from pipeline.domain.cases import lifecycle
from pipeline.domain.cases.case import Case, CaseAct, case_id_of, case_id_of_incident
from pipeline.domain.cases.complaints import Complaint, reasons_of
from pipeline.domain.events.cases import CUSTOMER
from pipeline.domain.events.contract import Event, FeedbackCorrected, FeedbackReceived
from pipeline.domain.incidents.incident import SYSTEM, Act, Incident
from pipeline.domain.orders.facts import contact_of
from pipeline.domain.orders.order import Order
from pipeline.store.asks.conversations import TEXT_SOURCE
from pipeline.store.cases.cases import account_manager_of
from pipeline.store.orders.timers import Timer
from pipeline.store.unit_of_work import UnitOfWork


def answered(event: Event, order: Order, work: UnitOfWork, now: datetime) -> None:
    """Open a case, or join the one there is, if an answer complains or asks for something."""
    data: FeedbackReceived = event.data
    stated = Statement(data.arrival, data.complete, tuple(data.condition), data.score)
    reasons = reasons_of(stated, data.request)
    if not reasons or event.historic:
        return
    at, by_text = event.received_at, event.source == TEXT_SOURCE
    complain(order, data.contact_id, Complaint(reasons, at, by_text=by_text), CUSTOMER, work, now)


def corrected(event: Event, order: Order, work: UnitOfWork, now: datetime) -> None:
    """A person reads a complaint in an answer: it opens a case as if its author had said it in codes."""
    data: FeedbackCorrected = event.data
    reading = data.reading
    reasons = reasons_of(Statement(reading.arrival, reading.complete, tuple(reading.condition), reading.score))
    if reasons and not event.historic and not (order.facts.known and order.facts.historic):
        complain(order, data.contact_id, Complaint(reasons, event.received_at, by_text=True), data.by, work, now)


def complain(
    order: Order, contact_id: str, complaint: Complaint, by: str, work: UnitOfWork, now: datetime
) -> Case | None:
    """Open the case of a contact about an order, or have the complaint join it. Returns the case if it changed."""
    contact = contact_of(order.facts, contact_id)
    if contact is not None:
        complaint = complaint._replace(role=contact.role)
    work.lock_case(order.order_id)
    case = work.cases.of_order(order.order_id, contact_id)
    account_id = order.facts.latest.account.id if order.facts.known else None
    if case is not None:
        case.account_id = case.account_id or account_id
        act = lifecycle.join(case, complaint, work.setup.cases, now)
        work.cases.save(case)  # an earlier complaint that is processed later moves the opening, and is no act
        return None if act is None else _changed(case, act._replace(by=by), work, now)
    case = _new(case_id_of(order.order_id, contact_id), complaint, work, now)
    case.order_id, case.contact_id, case.account_id = order.order_id, contact_id, account_id
    case.owner = None if account_id is None else account_manager_of(work.connection, account_id)
    work.cases.add(case)
    return _changed(case, CaseAct("opened", by), work, now)


def follow_incident(incident: Incident, act: Act, work: UnitOfWork, now: datetime) -> None:
    """The case of an incident opens, changes its owner, ends and returns with it. The caller has locked incidents."""
    if act.historic:
        return
    case = work.cases.of_incident(incident.number)
    complaint = Complaint(("incident",), now, severity=incident.severity or "minor")
    if case is None:
        if act.what == "opened":
            case = _new(case_id_of_incident(incident.number), complaint, work, now)
            case.incident, case.owner = incident.number, incident.owner
            work.cases.add(case)
            _changed(case, CaseAct("opened", SYSTEM), work, now)
        return
    change = _of_incident(case, incident, act, complaint, work, now)
    if change is not None:
        _changed(case, change, work, now)


def _of_incident(
    case: Case, incident: Incident, act: Act, complaint: Complaint, work: UnitOfWork, now: datetime
) -> CaseAct | None:
    if incident.ended_at is not None:
        return lifecycle.end(case, now)
    if case.closed_at is not None:
        return lifecycle.reopen(case, "", work.setup.cases, SYSTEM, now) if act.what == "reopened" else None
    if incident.owner is not None and incident.owner != case.owner:
        return lifecycle.assign(case, incident.owner, act.by, now)
    return lifecycle.join(case, complaint, work.setup.cases, now) if act.rises else None


def handle_due(timer: Timer, work: UnitOfWork, now: datetime) -> None:
    """The due time of a case has passed: unless it is closed, it is overdue."""
    if timer.order_id:
        work.lock_case(timer.order_id)
        case = work.cases.of_order(timer.order_id, timer.subject)
    else:
        work.lock_incidents()
        case = work.cases.of_incident(int(timer.subject))
    act = None if case is None else lifecycle.make_overdue(case, now)
    if case is not None and act is not None:
        record(case, act, act.words, work, now)


def _new(case_id: str, complaint: Complaint, work: UnitOfWork, now: datetime) -> Case:
    return Case(
        case_id=case_id,
        order_id=None,
        contact_id=None,
        incident=None,
        account_id=None,
        role=complaint.role,
        reasons=complaint.reasons,
        severity=complaint.gravity,
        opened_at=complaint.at,
        changed_at=now,
        due_at=work.setup.cases.due_at(complaint),
    )


def _changed(case: Case, act: CaseAct, work: UnitOfWork, now: datetime) -> Case:
    record(case, act, act.words, work, now)
    return case
