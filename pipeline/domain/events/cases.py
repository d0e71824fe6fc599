"""What is published about cases: ids and codes. Words and contacts' addresses travel on no topic."""

from datetime import datetime
from typing import Annotated, Literal

from msgspec import Meta, Struct

from pipeline.domain.events.incidents import Severity

Moment = Annotated[datetime, Meta(tz=True)]

CaseReason = Literal[
    "not_received",
    "incomplete",
    "damaged",
    "wrong",
    "late",
    "papers_missing",
    "low_score",
    "call",
    "question",
    "incident",
]
"""Why a case is open: what an answer complains about, what a reply asks for (`call`, `question`), or an incident."""
CaseState = Literal["open", "assigned", "closed"]
CaseChange = Literal["assigned", "noted", "overdue", "reopened", "joined", "confirmed"]
CaseOutcome = Literal[
    "delivered", "replaced", "credited", "explained", "apologised", "no_fault_found", "not_reached", "ended", "other"
]
"""How a case was settled. `ended`: its incident ended."""
NoteKind = Literal["note", "call"]
FollowUp = Literal["waiting", "due", "asked", "not_asked", "yes", "no"]
"""What became of the question whether it is settled, which follows the first closing: `waiting` for the rest of the
contact, `due` to be sent, `asked`, `not_asked`, or the answer.
"""
CUSTOMER = "customer"
"""Who acts where the customer's answer reopens or confirms a case."""


class CaseChanged(Struct, frozen=True, kw_only=True):
    """An act or change of a case, and what the case is after it.

    `case.changed` has a `change`: assigned, noted (of a call, if `note` says so), overdue, reopened, joined (by a
    further complaint), confirmed (by the customer).
    """

    case_id: str
    act: int
    """Number of the act in its case, from 1: later acts have larger ones."""
    at: Moment
    by: str
    """The user who acted, by name; `customer` for their answer, `system` for what follows from time or an incident."""
    state: CaseState
    severity: Severity
    reasons: list[CaseReason]
    opened_at: Moment
    due_at: Moment
    overdue: bool
    order_id: str | None = None
    contact_id: str | None = None
    account_id: str | None = None
    incident_id: str | None = None
    """Of a case that an incident opened; it has no order."""
    owner: str | None = None
    change: CaseChange | None = None
    note: NoteKind | None = None
    outcome: CaseOutcome | None = None
    follow_up: FollowUp | None = None
