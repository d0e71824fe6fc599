"""Cases as JSON: the read API serves it, and `--format json` prints it. The field names never change."""

from msgspec import Struct

from pipeline.domain.cases.case import Case
from pipeline.domain.events.cases import CaseOutcome, CaseReason, CaseState, FollowUp, NoteKind
from pipeline.domain.events.contract import ContactRole
from pipeline.domain.events.incidents import Severity
from pipeline.domain.reports.incidents import instant


class CaseOut(Struct, frozen=True):
    """One case: of a contact about an order, or of an incident. Times are UTC."""

    id: str
    state: CaseState
    severity: Severity
    reasons: list[CaseReason]
    order_id: str | None
    contact_id: str | None
    role: ContactRole | None
    account_id: str | None
    incident_id: str | None
    owner: str | None
    opened_at: str
    due_at: str
    overdue: bool
    closed_at: str | None
    outcome: CaseOutcome | None
    follow_up: FollowUp | None


class CaseActOut(Struct, frozen=True):
    """One act of a person, the customer (`by`: customer) or time and incidents (`by`: system). `words`: for those who
    may read words.
    """

    act: int
    at: str
    by: str
    what: str
    change: str | None
    state: CaseState
    severity: Severity
    owner: str | None
    due_at: str
    outcome: CaseOutcome | None
    note: NoteKind | None
    words: str | None


def case_out(case: Case) -> CaseOut:
    """A case, with instants as text."""
    return CaseOut(
        id=case.case_id,
        state=case.state,
        severity=case.severity,
        reasons=list(case.reasons),
        order_id=case.order_id,
        contact_id=case.contact_id,
        role=case.role,
        account_id=case.account_id,
        incident_id=case.incident_id,
        owner=case.owner,
        opened_at=instant(case.opened_at),
        due_at=instant(case.due_at),
        overdue=case.overdue,
        closed_at=None if case.closed_at is None else instant(case.closed_at),
        outcome=case.outcome,
        follow_up=case.follow_up,
    )
