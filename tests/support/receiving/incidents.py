"""Changes of incidents, as the detection and people make them, written as the pipeline writes them."""

from datetime import UTC, date, datetime, timedelta
from typing import Any

from sqlalchemy import Engine

from pipeline.domain.events.incidents import Cause, IncidentChanged, Now, Rate, Then
from pipeline.domain.notices.notice import Notice
from pipeline.store.notices import notices

AT = datetime(2026, 11, 20, 9, 30, tzinfo=UTC)
LYON = Cause("on_time", "depot", "Lyon")
RATE = Rate(0.31, 0.24, 0.39, 120)
NOW = Now(date(2026, 11, 20), Rate(0.28, 0.2, 0.37, 70), Rate(0.3, 0.23, 0.38, 110), 0.12, "unchanged")


def change(incident: str = "I-1", act: int = 1, kind: str = "incident.opened", **fields: Any) -> Notice:
    """A change of an incident whose cause is the depot Lyon, unless `fields` say otherwise."""
    given: dict[str, Any] = {
        "incident_id": incident,
        "act": act,
        "at": AT + timedelta(minutes=act),
        "by": "system",
        "state": "open",
        "severity": "major",
        "cause": LYON,
        "signals": ["on_time"],
        "alerts": ["on_time/depot/Lyon/1"],
        "explains": [],
        "opened_at": AT,
        "then": Then(AT, date(2026, 11, 2), RATE, 0.12),
        "now": NOW,
    }
    return Notice(f"{incident}:{act}", kind, IncidentChanged(**(given | fields)))


def resolved(incident: str = "I-1", act: int = 2, **fields: Any) -> Notice:
    """The evidence resolves it."""
    return change(incident, act, "incident.changed", **{"change": "resolved", "state": "resolved", **fields})


def publish(engine: Engine, *changes: Notice) -> None:
    """Commit changes as the pipeline does, in one transaction."""
    with engine.begin() as connection:
        rows = [notices.row(one.id, one.type, one.data, one.data.at) for one in changes]
        notices.record(connection, rows)
