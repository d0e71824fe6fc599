"""What opens a case: what an answer complains about or asks for, how grave that is, and by when it is to be settled."""

from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from datetime import UTC, datetime, time, timedelta
from typing import NamedTuple, get_args

from pipeline.domain.answers.scores import is_detractor
from pipeline.domain.answers.statement import Statement
from pipeline.domain.events.cases import CaseReason
from pipeline.domain.events.contract import ContactRole, Request
from pipeline.domain.events.incidents import Severity
from pipeline.domain.events.times import zone
from pipeline.domain.incidents.incident import worst

REASONS: tuple[CaseReason, ...] = get_args(CaseReason)
_SEVERITIES: Mapping[CaseReason, Severity] = {
    "not_received": "critical",
    "incomplete": "major",
    "damaged": "major",
    "wrong": "major",
    "late": "minor",
    "papers_missing": "minor",
    "low_score": "minor",
    "call": "major",
    "question": "minor",
    "incident": "minor",
}
_WORKING_DAYS = range(5)  # Monday to Friday
_WITHIN: tuple[tuple[Severity, timedelta], ...] = (
    ("critical", timedelta(hours=4)),
    ("major", timedelta(hours=24)),
    ("minor", timedelta(hours=72)),
)


class Complaint(NamedTuple):
    """One reason or more to open a case, or to join one. `by_text`: it repeats what the conversation stated before."""

    reasons: tuple[CaseReason, ...]
    at: datetime
    role: ContactRole | None = None
    severity: Severity | None = None
    """Of an incident; None: it follows from the reasons."""
    by_text: bool = False

    @property
    def gravity(self) -> Severity:
        """The severity."""
        return self.severity or severity_of(self.reasons)


@dataclass(frozen=True)
class CasePolicy:
    """By when cases are to be settled. Hours of Saturdays and Sundays in `timezone` do not count."""

    within: tuple[tuple[Severity, timedelta], ...] = _WITHIN
    """Time to settle a case of each severity."""
    within_of_role: tuple[tuple[ContactRole, timedelta], ...] = (("decision_maker", timedelta(hours=8)),)
    """At most so long for a contact in this role, whatever the severity."""
    timezone: str = "UTC"
    asks_if_settled: bool = True
    """Whether the customer is asked once more after the first closing."""

    def due_at(self, complaint: Complaint) -> datetime:
        """By when a complaint is to be settled."""
        within = dict(self.within)[complaint.gravity]
        if complaint.role is not None:
            within = min(within, dict(self.within_of_role).get(complaint.role, within))
        return after_working_time(complaint.at, within, self.timezone)


def reasons_of(stated: Statement, request: Request | None = None) -> tuple[CaseReason, ...]:
    """What a statement complains about, and what its words ask for, in the order of `REASONS`; () for neither."""
    found: set[CaseReason] = set(stated.conditions)
    if stated.arrival in ("late", "not_received"):
        found.add(stated.arrival)
    if stated.complete is False and not stated.conditions:
        found.add("incomplete")
    if stated.score is not None and is_detractor(stated.score):
        found.add("low_score")
    if request is not None:
        found.add(request)
    return ordered(found)


def ordered(reasons: Iterable[CaseReason]) -> tuple[CaseReason, ...]:
    """Reasons in the order of `REASONS`, each once."""
    given = set(reasons)
    return tuple(reason for reason in REASONS if reason in given)


def severity_of(reasons: Iterable[CaseReason]) -> Severity:
    """The highest severity of some reasons. A late order that also costs the recommendation is a major one."""
    given = set(reasons)
    found = worst([_SEVERITIES[reason] for reason in given]) or "minor"
    return "major" if found == "minor" and given >= {"late", "low_score"} else found


def after_working_time(start: datetime, within: timedelta, timezone: str) -> datetime:
    """The moment (UTC) at which `within` has passed since `start`, not counting Saturdays and Sundays."""
    where = zone(timezone)
    moment, left = start.astimezone(UTC), within
    while True:
        local = moment.astimezone(where)
        midnight = datetime.combine(local.date() + timedelta(days=1), time(), where).astimezone(UTC)
        if local.weekday() in _WORKING_DAYS:
            if left <= midnight - moment:
                return moment + left
            left -= midnight - moment
        moment = midnight
