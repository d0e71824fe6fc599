"""What happens to a case: complaints open and join it, people assign, note, close and reopen it, time makes it overdue,
the customer confirms or denies that it is settled. A case never changes an answer or the evidence.
"""

from datetime import datetime
from typing import get_args

from pipeline.domain.cases.case import Case, CaseAct
from pipeline.domain.cases.complaints import CasePolicy, Complaint, ordered
from pipeline.domain.events.cases import CUSTOMER, CaseOutcome, NoteKind
from pipeline.domain.events.incidents import Severity
from pipeline.domain.incidents.incident import SYSTEM, worst
from pipeline.domain.incidents.lifecycle import MAX_NAME, MAX_WORDS, Refused, checked_text

OUTCOMES: tuple[CaseOutcome, ...] = tuple(one for one in get_args(CaseOutcome) if one != "ended")
"""The outcomes that a person may choose from."""
NOTE_KINDS: tuple[NoteKind, ...] = get_args(NoteKind)
_NEXT: dict[Severity, Severity] = {"minor": "major", "major": "critical", "critical": "critical"}


def join(case: Case, complaint: Complaint, policy: CasePolicy, now: datetime) -> CaseAct | None:
    """A further complaint of the same contact joins the case, or reopens it; None if it says nothing new.

    The order in which complaints come does not matter: reasons add up, the highest severity and the earliest due time
    count.
    """
    reasons = ordered((*case.reasons, *complaint.reasons))
    is_new = reasons != case.reasons
    if case.closed_at is not None:
        if not is_new and (complaint.by_text or complaint.at <= case.closed_at):
            return None
        case.reasons = reasons
        return _reopen(case, complaint, policy, CUSTOMER, now)
    severity = worst([case.severity, complaint.gravity]) or case.severity
    due_at = min(case.due_at, policy.due_at(complaint))
    case.opened_at = min(case.opened_at, complaint.at)
    if (reasons, severity, due_at) == (case.reasons, case.severity, case.due_at):
        return None
    case.reasons, case.severity, case.due_at, case.changed_at = reasons, severity, due_at, now
    return CaseAct("changed", CUSTOMER if case.incident is None else SYSTEM, "joined")


def assign(case: Case, owner: str, by: str, now: datetime) -> CaseAct:
    """Give it an owner, a user. Raises Refused."""
    _check_open(case)
    owner = checked_text(owner, "owner", MAX_NAME)
    if case.owner == owner:
        raise Refused(f"{case.case_id} is assigned to {owner} already", "owner")
    case.owner, case.changed_at = owner, now
    return CaseAct("changed", by, "assigned")


def note(case: Case, kind: str, words: str, by: str, now: datetime) -> CaseAct:
    """Write down what was done, or what was said in a call; also of a closed case. Raises Refused."""
    known = next((name for name in NOTE_KINDS if name == (kind or "note")), None)
    if known is None:
        raise Refused(f"must be one of {', '.join(NOTE_KINDS)}", "kind")
    words = checked_text(words, "words", MAX_WORDS)
    case.changed_at = now
    return CaseAct("changed", by, "noted", known, words)


def close(case: Case, outcome: str, words: str, by: str, now: datetime) -> CaseAct:
    """End it with its outcome and what was done. The first closing asks the customer. Raises Refused."""
    _check_open(case)
    known = next((name for name in OUTCOMES if name == outcome), None)
    if known is None:
        raise Refused(f"must be one of {', '.join(OUTCOMES)}", "outcome")
    words = checked_text(words, "words", MAX_WORDS)
    _end(case, known, now)
    return CaseAct("closed", by, words=words)


def end(case: Case, now: datetime) -> CaseAct | None:
    """Its incident has ended; None if the case is closed already."""
    if case.closed_at is not None:
        return None
    _end(case, "ended", now)
    return CaseAct("closed", SYSTEM)


def reopen(case: Case, words: str, policy: CasePolicy, by: str, now: datetime) -> CaseAct:
    """Take back a closing: it is due anew. Raises Refused."""
    if case.closed_at is None:
        raise Refused(f"{case.case_id} is not closed")
    words = checked_text(words, "words", MAX_WORDS, required=False)
    act = _reopen(case, Complaint(case.reasons, now, case.role, case.severity), policy, by, now)
    return act._replace(words=words or None)


def make_overdue(case: Case, now: datetime) -> CaseAct | None:
    """The due time has passed: the severity rises by one. None if it is closed, not due yet, or overdue already."""
    if case.closed_at is not None or case.overdue or now < case.due_at:
        return None
    case.overdue, case.severity, case.changed_at = True, _NEXT[case.severity], now
    return CaseAct("changed", SYSTEM, "overdue")


def answer(
    case: Case, settled: bool, words: str | None, answered_at: datetime, policy: CasePolicy, now: datetime
) -> CaseAct | None:
    """The customer says whether it is settled. `words`: sealed. None: a later answer counts, or it says the same.

    A yes confirms a closed case. A no reopens it. After a no, a person closes the case, whatever the customer adds.
    """
    said = "yes" if settled else "no"
    repeats = case.follow_up == said and words is None
    if (case.answered_at is not None and answered_at <= case.answered_at) or repeats:
        return None
    case.follow_up, case.answered_at, case.changed_at = "yes" if settled else "no", answered_at, now
    if settled or case.closed_at is None:
        return CaseAct("changed", CUSTOMER, "confirmed" if settled else "noted", words=words)
    act = _reopen(case, Complaint(case.reasons, now, case.role, case.severity), policy, CUSTOMER, now)
    return act._replace(words=words)


def _end(case: Case, outcome: CaseOutcome, now: datetime) -> None:
    case.outcome, case.closed_at, case.changed_at, case.overdue = outcome, now, now, False


def _reopen(case: Case, complaint: Complaint, policy: CasePolicy, by: str, now: datetime) -> CaseAct:
    case.severity = worst([case.severity, complaint.gravity]) or case.severity
    case.due_at = policy.due_at(complaint._replace(at=now, severity=case.severity))
    case.closed_at, case.outcome, case.overdue, case.changed_at = None, None, False, now
    return CaseAct("changed", by, "reopened")


def _check_open(case: Case) -> None:
    if case.closed_at is not None:
        raise Refused(f"{case.case_id} is closed")
