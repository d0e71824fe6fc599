"""A case: what a person has to settle, with its reasons, severity, owner and due time; and its acts as events."""

from datetime import datetime
from hashlib import sha256
from typing import Literal, NamedTuple

from msgspec import Struct

from pipeline.domain.events.cases import (
    CaseChange,
    CaseChanged,
    CaseOutcome,
    CaseReason,
    CaseState,
    FollowUp,
    NoteKind,
)
from pipeline.domain.events.contract import ContactRole
from pipeline.domain.events.incidents import Severity
from pipeline.domain.incidents.incident import PREFIX as INCIDENT

PREFIX = "C-"
"""What the identity of a case begins with."""
_DIGITS = 12

What = Literal["opened", "changed", "closed"]


class Case(Struct, kw_only=True):
    """One case. There is one for an order and a contact, or for an incident: it goes on if it is reopened."""

    case_id: str
    order_id: str | None
    contact_id: str | None
    incident: int | None
    """Number of the incident that opened it; it has no order then."""
    account_id: str | None
    role: ContactRole | None
    reasons: tuple[CaseReason, ...]
    severity: Severity
    opened_at: datetime
    changed_at: datetime
    due_at: datetime
    owner: str | None = None
    overdue: bool = False
    closed_at: datetime | None = None
    outcome: CaseOutcome | None = None
    follow_up: FollowUp | None = None
    """None: it was never closed, or there is nobody to ask."""
    answered_at: datetime | None = None
    """When the customer gave the answer to that question which counts."""
    acts: int = 0
    """Number of acts and changes so far."""

    @property
    def state(self) -> CaseState:
        """Closed, or who works on it."""
        if self.closed_at is not None:
            return "closed"
        return "open" if self.owner is None else "assigned"

    @property
    def incident_id(self) -> str | None:
        """The identity of its incident."""
        return None if self.incident is None else f"{INCIDENT}{self.incident}"


class CaseAct(NamedTuple):
    """An act or change that is to be stored and published."""

    what: What
    by: str
    change: CaseChange | None = None
    note: NoteKind | None = None
    words: str | None = None
    """What a person wrote, those of a customer sealed already; stored sealed, and published nowhere."""


def case_id_of(order_id: str, contact_id: str) -> str:
    """The identity of the case of an order and a contact: the same on every database."""
    return _identity(f"{order_id}\n{contact_id}")


def case_id_of_incident(number: int) -> str:
    """The identity of the case of an incident."""
    return _identity(f"incident\n{number}\n")


def _identity(text: str) -> str:
    return PREFIX + sha256(text.encode("utf-8", "replace")).hexdigest()[:_DIGITS].upper()


def event_of(case: Case, act: CaseAct, at: datetime) -> CaseChanged:
    """What is published of an act: the case as it is after it."""
    return CaseChanged(
        case_id=case.case_id,
        act=case.acts,
        at=at,
        by=act.by,
        state=case.state,
        severity=case.severity,
        reasons=list(case.reasons),
        opened_at=case.opened_at,
        due_at=case.due_at,
        overdue=case.overdue,
        order_id=case.order_id,
        contact_id=case.contact_id,
        account_id=case.account_id,
        incident_id=case.incident_id,
        owner=case.owner,
        change=act.change,
        note=act.note,
        outcome=case.outcome,
        follow_up=case.follow_up,
    )
