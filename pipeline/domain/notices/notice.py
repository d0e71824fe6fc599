"""A notice: one change of an incident, as receivers get it. Ids, codes and figures; never words or contacts."""

from datetime import timedelta
from typing import Literal, get_args

from msgspec import Struct
from msgspec.structs import replace

from pipeline.domain.access.scopes import Scope
from pipeline.domain.events.incidents import IncidentChanged

Change = Literal[
    "opened",
    "acknowledged",
    "assigned",
    "snoozed",
    "closed",
    "reopened",
    "merged",
    "split",
    "escalated",
    "resolved",
    "unverified",
    "regrouped",
]
CHANGES: tuple[Change, ...] = get_args(Change)
FOR_PEOPLE: tuple[Change, ...] = ("opened", "reopened", "escalated", "split", "resolved", "closed", "unverified")
"""What a person wants to read about. The rest are acts of colleagues and changes of the grouping."""

TEST_INCIDENT = "test"
_ALERT_LISTS = ("alerts", "explains")
_ENDS = ("resolved", "closed")
_FIRST_WAIT = timedelta(seconds=1)
_LONGEST_WAIT = timedelta(hours=1)
GIVE_UP_AFTER = timedelta(days=3)
"""How long a notice is retried. Afterwards it is a dead letter of its receiver."""


class Notice(Struct, frozen=True):
    """One change of an incident. `id` is that of its event: the same in every attempt, the idempotency key."""

    id: str
    type: str
    data: IncidentChanged

    @property
    def change(self) -> Change:
        """What happened."""
        return self.data.change or self.type.removeprefix("incident.")  # type: ignore[return-value]

    @property
    def ends(self) -> bool:
        """Whether the incident is over with this change: resolved, closed, or merged into another."""
        return self.data.state in _ENDS or self.change == "merged"

    @property
    def is_snoozed(self) -> bool:
        """Whether the incident is set aside; also while it is unverified, too, which its state says then."""
        return self.data.state == "snoozed" or self.data.until is not None

    @property
    def notable(self) -> bool:
        """Whether a person wants to read about it."""
        return self.change in FOR_PEOPLE or self.data.rises


def shown(notice: Notice, scope: Scope) -> Notice:
    """The notice with only those alerts that the scope sees."""
    if scope.is_everything:
        return notice
    data = notice.data
    visible = {name: [each for each in getattr(data, name) if scope.sees_alert(each)] for name in _ALERT_LISTS}
    return replace(notice, data=replace(data, other=None, **visible))


def wait_before(attempt: int) -> timedelta:
    """How long to wait after this many failed attempts (at least 1): from a second, doubling, up to an hour."""
    return min(_FIRST_WAIT * float(1 << min(attempt - 1, 20)), _LONGEST_WAIT)
