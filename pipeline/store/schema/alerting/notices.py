"""Tables of notices: changes of incidents that receivers have to be told, their deliveries, and what receivers know."""

from sqlalchemy import Boolean, Column, Index, Integer, PrimaryKeyConstraint, String, Table, Text

from pipeline.store.schema.types import Utc, metadata

# Every change of an incident, written in the transaction that published it. `unrouted`: no receiver was chosen yet.
notices = Table(
    "notices",
    metadata,
    Column("event_id", String(500), primary_key=True),
    Column("type", String(100), nullable=False),
    Column("incident_id", String(200), nullable=False),
    Column("act", Integer, nullable=False),
    Column("data", Text, nullable=False),  # domain.events.incidents.IncidentChanged as JSON
    Column("created_at", Utc, nullable=False),
    Column("unrouted", Boolean),  # true, or null: the index has the unrouted ones only
    Index("notices_unrouted", "unrouted", "created_at", "act"),
    Index("notices_by_age", "created_at"),
)

# One row per receiver and notice: what becomes of it. `wake_at`: when it is processed next; null: finished.
deliveries = Table(
    "deliveries",
    metadata,
    Column("receiver", String(100), nullable=False),
    Column("event_id", String(500), nullable=False),
    Column("incident_id", String(200), nullable=False),
    Column("act", Integer, nullable=False),
    Column("state", String(20), nullable=False),  # pending, sending, delivered, muted, superseded, dead
    Column("reason", String(200), nullable=False),  # why it is muted, or what the last attempt met; never an address
    Column("route", Integer),  # its number in the configuration; null: none
    Column("digest", Boolean, nullable=False),
    Column("attempt", Integer, nullable=False),
    Column("owner", String(200)),
    Column("created_at", Utc, nullable=False),
    Column("wake_at", Utc),
    Column("finished_at", Utc),
    PrimaryKeyConstraint("receiver", "event_id"),
    Index("deliveries_waking", "receiver", "wake_at"),
    Index("deliveries_by_incident", "receiver", "incident_id", "act"),
)

# What a receiver knows of an incident. `memory`: its own, as JSON. `refresh_at`: when it is told the state again.
told = Table(
    "told",
    metadata,
    Column("receiver", String(100), nullable=False),
    Column("incident_id", String(200), nullable=False),
    Column("act", Integer, nullable=False),  # the newest act delivered; 0: none
    Column("memory", Text),
    Column("refresh_at", Utc),
    PrimaryKeyConstraint("receiver", "incident_id"),
    Index("told_refreshing", "receiver", "refresh_at"),
)
