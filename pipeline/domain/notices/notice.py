"""A notice: one change of an incident, as receivers get it. Ids, codes and figures; never words or contacts."""

from datetime import timedelta
from typing import Literal, get_args

from msgspec import Struct
from msgspec.structs import replace

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
    def notable(self) -> bool:
        """Whether a person wants to read about it."""
        return self.change in FOR_PEOPLE or self.data.rises


def shown(notice: Notice, scope: "Scope") -> Notice:
    """The notice with only those alerts that the scope shows."""
    if scope.entries is None:
        return notice
    data = notice.data
    visible = {name: [each for each in getattr(data, name) if scope.shows_alert(each)] for name in _ALERT_LISTS}
    return replace(notice, data=replace(data, other=None, **visible))


_ALERT_LISTS = ("alerts", "explains")


class Scope(Struct, frozen=True):
    """The segments, as (dimension, value), that a route shows; None: everything."""

    entries: frozenset[tuple[str, str]] | None = None

    def shows(self, dimension: str, value: str) -> bool:
        """Whether a segment is an entry, or belongs to a composite level with an entry among its parts.

        A composite value that can be split in two ways belongs to no scope.
        """
        if self.entries is None or (dimension, value) in self.entries:
            return True
        names, values = dimension.split("+"), value.split("+")
        if len(names) < 2 or len(names) != len(values):
            return False
        return any(part in self.entries for part in zip(names, values, strict=True))

    def shows_alert(self, alert_id: str) -> bool:
        """Whether the segment of an alert is shown, by the alert's id: signal/dimension/value/number."""
        middle = alert_id.partition("/")[2].rpartition("/")[0]
        dimension, _, value = middle.partition("/")
        if "/" in value:  # it could be split in another way, too
            return self.entries is None or any(f"{name}/{of}" == middle for name, of in self.entries)
        return self.shows(dimension, value)


def wait_before(attempt: int) -> timedelta:
    """How long to wait after this many failed attempts (at least 1): from a second, doubling, up to an hour."""
    return min(_FIRST_WAIT * float(1 << min(attempt - 1, 20)), _LONGEST_WAIT)
