"""What a person does about a case, in a transaction of its own: recorded, published, its words sealed."""

from collections.abc import Callable
from datetime import datetime

from pipeline.consumers.cases.opening import complain
from pipeline.consumers.cases.recording import record
from pipeline.domain.cases.case import Case, CaseAct
from pipeline.domain.cases.complaints import Complaint
from pipeline.domain.events.contract import Request
from pipeline.store.cases.cases import find
from pipeline.store.people import keys
from pipeline.store.people.keys import Owner
from pipeline.store.people.vault import Vault
from pipeline.store.unit_of_work import UnitOfWork


def perform(
    case_id: str, decide: Callable[[Case], CaseAct], vault: Vault, work: UnitOfWork, now: datetime
) -> Case | None:
    """Record what a person does about a case; None: there is no such case.

    `decide` is one of the acts of `domain.cases.lifecycle`; what it refuses, this raises. The caller has acquired no
    lock, flushes `work` and commits.
    """
    keys.begin_sealing(work.connection)
    case = locked(find(work.connection, case_id), work)
    if case is None:
        return None
    act = decide(case)
    words = None if act.words is None else sealed(case, act.words, vault, work)
    record(case, act, words, work, now)
    return case


def open_case(order_id: str, contact_id: str, request: Request, by: str, work: UnitOfWork, now: datetime) -> Case:
    """A person marks that a reply asks for something: it opens the case of its author, or joins it.

    The caller has acquired no lock, flushes `work` and commits.
    """
    work.lock_case(order_id)
    work.orders.load([order_id])
    order = work.orders.peek(order_id)
    complain(order, contact_id, Complaint((request,), now), by, work, now)
    case = work.cases.of_order(order_id, contact_id)
    assert case is not None  # noqa: S101 - it was opened, or was there
    return case


def locked(known: Case | None, work: UnitOfWork) -> Case | None:
    """A case as it is now, locked until the transaction ends."""
    if known is None:
        return None
    if known.order_id is None or known.contact_id is None:
        work.lock_incidents()
        return None if known.incident is None else work.cases.of_incident(known.incident)
    work.lock_case(known.order_id)
    return work.cases.of_order(known.order_id, known.contact_id)


def sealed(case: Case, words: str, vault: Vault, work: UnitOfWork) -> str:
    """What somebody wrote about a case, sealed with the key of the person it is about: an erasure covers it."""
    owner = _owner(case)
    return keys.keys_for(work.connection, vault, [owner])[owner].seal(words)


def _owner(case: Case) -> Owner:
    if case.order_id is None or case.contact_id is None:
        return keys.order(case.case_id)  # nobody in particular
    return keys.contact(case.account_id, case.order_id, case.contact_id)
