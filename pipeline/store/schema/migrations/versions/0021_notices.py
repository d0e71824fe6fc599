"""Notices of incidents to receivers: the outbox, one delivery per receiver, and what each receiver knows.

On PostgreSQL also views for dashboards and reports (docs/monitoring.md): no personal data, and their columns stay.
"""

import sqlalchemy as sa
from alembic import op

revision = "0021"
down_revision = "0019"
branch_labels = None
depends_on = None

_DAY = "DATE '0001-01-01' + (day - 1)"
# Accounts, contacts and orders are no segments here, whatever levels an installation has.
_SEGMENTS = "NOT (string_to_array(dimension, '+') && ARRAY['account', 'contact', 'order'])"
_COUNTERS = {
    "completed": "completed",
    "delivered": "delivered",
    "stated_on_time": "on_time:stated",
    "claimed_on_time": "on_time",
    "contactable": "contactable",
    "asked": "asked",
    "answered": "answered",
    "claimed_and_experienced_on_time": "on_time:11",
    "claimed_on_time_experienced_late": "on_time:10",
    "claimed_late_experienced_on_time": "on_time:01",
    "claimed_and_experienced_late": "on_time:00",
    "claimed_on_time_but_detractor": "on_time:detractor",
}
_SUMS = ", ".join(
    f"COALESCE(SUM(n) FILTER (WHERE counter = '{counter}'), 0)::bigint AS {name}" for name, counter in _COUNTERS.items()
)
_LEVEL = "CASE dimension WHEN '' THEN 'fleet' ELSE dimension END AS level, value AS segment"
_VIEW = "CREATE VIEW reporting.{} AS SELECT {} FROM {}"
VIEWS = (
    _VIEW.format(
        "segment_days",
        f"{_LEVEL}, {_DAY} AS day, {_SUMS}",
        f"rollups WHERE {_SEGMENTS} GROUP BY dimension, value, day",
    ),
    _VIEW.format(
        "alerts",
        "alert_id, signal, dimension AS level, value AS segment, kind, state, severity, opened_at, resolved_at",
        f"alerts WHERE {_SEGMENTS}",
    ),
    _VIEW.format(
        "incidents",
        "'I-' || number AS incident_id, status, unverified, signal, dimension AS level, value AS segment, "
        "COALESCE(severity, 'minor') AS severity, opened_at, changed_at, ended_at, closing_cause, rank",
        f"incidents WHERE {_SEGMENTS}",
    ),
    _VIEW.format("notices", "receiver, incident_id, state, reason, attempt, created_at, finished_at", "deliveries"),
)


def upgrade() -> None:
    op.create_table(
        "notices",
        sa.Column("event_id", sa.String(length=500), primary_key=True),
        sa.Column("type", sa.String(length=100), nullable=False),
        sa.Column("incident_id", sa.String(length=200), nullable=False),
        sa.Column("act", sa.Integer(), nullable=False),
        sa.Column("data", sa.Text(), nullable=False),
        sa.Column("created_at", sa.DateTime(timezone=True), nullable=False),
        sa.Column("unrouted", sa.Boolean(), nullable=True),
    )
    op.create_index("notices_unrouted", "notices", ["unrouted", "created_at", "act"])
    op.create_index("notices_by_age", "notices", ["created_at"])
    op.create_table(
        "deliveries",
        sa.Column("receiver", sa.String(length=100), nullable=False),
        sa.Column("event_id", sa.String(length=500), nullable=False),
        sa.Column("incident_id", sa.String(length=200), nullable=False),
        sa.Column("act", sa.Integer(), nullable=False),
        sa.Column("state", sa.String(length=20), nullable=False),
        sa.Column("reason", sa.String(length=200), nullable=False),
        sa.Column("route", sa.Integer(), nullable=True),
        sa.Column("digest", sa.Boolean(), nullable=False),
        sa.Column("attempt", sa.Integer(), nullable=False),
        sa.Column("owner", sa.String(length=200), nullable=True),
        sa.Column("created_at", sa.DateTime(timezone=True), nullable=False),
        sa.Column("wake_at", sa.DateTime(timezone=True), nullable=True),
        sa.Column("finished_at", sa.DateTime(timezone=True), nullable=True),
        sa.PrimaryKeyConstraint("receiver", "event_id"),
    )
    op.create_index("deliveries_waking", "deliveries", ["receiver", "wake_at"])
    op.create_index("deliveries_by_incident", "deliveries", ["receiver", "incident_id", "act"])
    op.create_table(
        "told",
        sa.Column("receiver", sa.String(length=100), nullable=False),
        sa.Column("incident_id", sa.String(length=200), nullable=False),
        sa.Column("act", sa.Integer(), nullable=False),
        sa.Column("memory", sa.Text(), nullable=True),
        sa.Column("refresh_at", sa.DateTime(timezone=True), nullable=True),
        sa.PrimaryKeyConstraint("receiver", "incident_id"),
    )
    op.create_index("told_refreshing", "told", ["receiver", "refresh_at"])
    if op.get_bind().dialect.name == "postgresql":
        op.execute("CREATE SCHEMA reporting")
        for view in VIEWS:
            op.execute(view)


def downgrade() -> None:
    if op.get_bind().dialect.name == "postgresql":
        op.execute("DROP SCHEMA reporting CASCADE")
    op.drop_table("told")
    op.drop_table("deliveries")
    op.drop_table("notices")
