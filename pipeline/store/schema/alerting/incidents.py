"""Tables of incidents: their current state, the acts, and what the grouping of alerts reads and keeps."""

from sqlalchemy import (
    Boolean,
    Column,
    Float,
    Index,
    Integer,
    LargeBinary,
    PrimaryKeyConstraint,
    String,
    Table,
    Text,
)

from pipeline.store.schema.types import WITHOUT_ROWID, Utc, metadata

# The current state of each incident. Lists of alerts and figures are JSON.
incidents = Table(
    "incidents",
    metadata,
    Column("number", Integer, primary_key=True, autoincrement=False),  # in its identity, from 1
    Column("status", String(20), nullable=False),  # domain.incidents.incident.Status
    Column("unverified", Boolean, nullable=False),
    Column("signal", String(20), nullable=False),  # the cause
    Column("dimension", String(200), nullable=False),
    Column("value", String(1_000), nullable=False),
    Column("signals", Text, nullable=False),
    Column("alerts", Text, nullable=False),
    Column("explains", Text, nullable=False),
    Column("severity", String(10)),
    Column("peak", String(10)),
    Column("opened_at", Utc, nullable=False),
    Column("changed_at", Utc, nullable=False),
    Column("ended_at", Utc),
    Column("owner", String(100)),
    Column("until", Utc),
    Column("closing_cause", String(20)),
    Column("merged_into", String(20)),
    Column("then", Text, nullable=False),
    Column("now", Text),
    Column("rank", Float, nullable=False),
    Column("acts", Integer, nullable=False),
    Index("incidents_by_rank", "ended_at", "rank", "number"),
    Index("incidents_by_segment", "dimension", "value", "signal"),
)

# Every act of a person and every change by the evidence. Append-only.
incident_acts = Table(
    "incident_acts",
    metadata,
    Column("number", Integer, nullable=False),  # of the incident
    Column("act", Integer, nullable=False),  # from 1
    Column("at", Utc, nullable=False),
    Column("by", String(100), nullable=False),  # a user's name, or `system`
    Column("what", String(20), nullable=False),  # the type of its event without `incident.`
    Column("change", String(20)),
    Column("event", Text, nullable=False),  # domain.events.incidents.IncidentChanged as JSON
    Column("words", LargeBinary),  # sealed
    PrimaryKeyConstraint("number", "act"),
)

# The incident that has an alert, or had it last.
incident_alerts = Table(
    "incident_alerts",
    metadata,
    Column("alert_id", String(1_300), primary_key=True),
    Column("number", Integer, nullable=False),
    Index("incident_alerts_by_number", "number"),
)

# For each signal which of its open alerts are causes and which are echoes, as found last.
explanations = Table(
    "explanations",
    metadata,
    Column("signal", String(20), primary_key=True),
    Column("result", Text, nullable=False),  # domain.detection.explanation.Explanation as JSON
    Column("grouped_at", Utc),  # null: by an earlier version
)

# Where an order of an open alert belongs, as it was counted: read from the order once.
order_places = Table(
    "order_places",
    metadata,
    Column("order_id", String(200), primary_key=True),
    Column("account_id", String(200), nullable=False),
    Column("dimensions", Text, nullable=False),  # as JSON
    Column("historic", Boolean, nullable=False),
    **WITHOUT_ROWID,
)
