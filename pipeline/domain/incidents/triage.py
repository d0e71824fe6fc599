"""What an incident needs today: a decision of its state, its owner and the time."""

from collections.abc import Mapping
from datetime import datetime, timedelta
from typing import Literal

from pipeline.domain.detection.alerting import Severity
from pipeline.domain.incidents.incident import Incident

Need = Literal["overdue", "new", "unowned", "in_hand", "snoozed"]
"""`overdue`: nobody has acknowledged it in time. `new`: it opened within a day. `unowned`: nobody has it. The most
urgent need counts."""
NEEDS: tuple[Need, ...] = ("overdue", "new", "unowned", "in_hand", "snoozed")

NEW_FOR = timedelta(days=1)
ACKNOWLEDGE_WITHIN: Mapping[Severity | None, timedelta] = {
    "critical": timedelta(hours=4),
    "major": timedelta(days=1),
    "minor": timedelta(days=3),
    None: timedelta(days=3),
}
"""How long an incident may stay open before somebody acknowledges it, by severity."""


def need_of(incident: Incident, now: datetime) -> Need:
    """What an incident that goes on needs at that time."""
    age = now - incident.opened_at
    if incident.status == "snoozed":
        return "snoozed"
    if incident.status == "open" and age > ACKNOWLEDGE_WITHIN[incident.severity]:
        return "overdue"
    if age <= NEW_FOR:
        return "new"
    return "unowned" if incident.owner is None else "in_hand"
