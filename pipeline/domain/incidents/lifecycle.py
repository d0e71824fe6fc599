"""What people do about an incident: acknowledge, assign, snooze, close, reopen. The evidence never changes by it."""

from datetime import datetime, timedelta
from typing import get_args

from pipeline.domain.events.incidents import ClosingCause
from pipeline.domain.incidents.incident import SYSTEM, Act, Incident

MAX_SNOOZE = timedelta(days=14)
"""Longest time for which an incident can be set aside."""
MAX_NAME, MAX_WORDS = 100, 2_000
CLOSING_CAUSES: tuple[ClosingCause, ...] = get_args(ClosingCause)


class Refused(Exception):
    """The act is not possible. `field` names what to correct, "" if it is the state of the incident or case."""

    def __init__(self, reason: str, field: str = "") -> None:
        super().__init__(f"{field}: {reason}" if field else reason)
        self.reason = reason
        self.field = field


def acknowledge(incident: Incident, by: str, now: datetime) -> Act:
    """Somebody has seen it. Raises Refused."""
    _check_goes_on(incident)
    if incident.status == "acknowledged":
        raise Refused(f"{incident.incident_id} is acknowledged already")
    if incident.status == "assigned":
        raise Refused(f"{incident.incident_id} has an owner already: {incident.owner}")
    incident.status, incident.until, incident.changed_at = "acknowledged", None, now
    return Act("acknowledged", by)


def assign(incident: Incident, owner: str, by: str, now: datetime) -> Act:
    """Give it an owner, a user. Raises Refused."""
    _check_goes_on(incident)
    owner = checked_text(owner, "owner", MAX_NAME)
    if incident.status == "assigned" and incident.owner == owner:
        raise Refused(f"{incident.incident_id} is assigned to {owner} already", "owner")
    incident.status, incident.owner, incident.until, incident.changed_at = "assigned", owner, None, now
    return Act("assigned", by)


def snooze(incident: Incident, until: datetime, reason: str, by: str, now: datetime) -> Act:
    """Set it aside until a time, at most 14 days ahead, for a reason. A higher severity ends that. Raises Refused."""
    _check_goes_on(incident)
    reason = checked_text(reason, "reason", MAX_WORDS)
    if not now < until <= now + MAX_SNOOZE:
        raise Refused(f"must be in the future and at most {MAX_SNOOZE.days} days ahead", "until")
    incident.status, incident.until, incident.changed_at = "snoozed", until, now
    return Act("snoozed", by, words=reason)


def close(incident: Incident, cause: str, words: str, by: str, now: datetime) -> Act:
    """End it with the cause that was found and what was done. Its alerts stay open. Raises Refused."""
    _check_goes_on(incident)
    known = next((name for name in CLOSING_CAUSES if name == cause), None)
    if known is None:
        raise Refused(f"must be one of {', '.join(CLOSING_CAUSES)}", "cause")
    words = checked_text(words, "words", MAX_WORDS)
    incident.status, incident.closing_cause, incident.until = "closed", known, None
    incident.ended_at = incident.changed_at = now
    return Act("closed", by, words=words)


def reopen(incident: Incident, words: str, by: str, now: datetime) -> Act:
    """Take back a closing. What the evidence ended, the evidence alone reopens. Raises Refused."""
    if incident.merged_into is not None:
        raise Refused(f"{incident.incident_id} goes on as {incident.merged_into}")
    if incident.status == "resolved":
        raise Refused(
            f"{incident.incident_id} was resolved by the evidence; if the fault returns, it reopens by itself"
        )
    if incident.status != "closed":
        raise Refused(f"{incident.incident_id} is not closed")
    words = checked_text(words, "words", MAX_WORDS, required=False)
    incident.status, incident.closing_cause, incident.ended_at = incident.awake, None, None
    incident.changed_at = now
    return Act("reopened", by, words=words or None)


def wake(incident: Incident, now: datetime) -> Act | None:
    """The end of a snooze; None if the incident is not snoozed until now any more."""
    if incident.status != "snoozed" or incident.until is None or incident.until > now:
        return None
    incident.status, incident.until, incident.changed_at = incident.awake, None, now
    return Act("reopened", SYSTEM)


def _check_goes_on(incident: Incident) -> None:
    if incident.merged_into is not None:
        raise Refused(f"{incident.incident_id} goes on as {incident.merged_into}")
    if incident.ended_at is not None:
        raise Refused(f"{incident.incident_id} is {incident.status}")


def checked_text(given: str, field: str, limit: int, required: bool = True) -> str:
    """What a person wrote, without spaces around it. Raises Refused if it is missing or too long."""
    text = given.strip()
    if required and not text:
        raise Refused("is required", field)
    if len(text) > limit:
        raise Refused(f"has {len(text)} characters; at most {limit}", field)
    return text
