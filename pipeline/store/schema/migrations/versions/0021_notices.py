"""Notices of incidents to receivers: the outbox, one delivery per receiver, and what each receiver knows."""

import sqlalchemy as sa
from alembic import op

revision = "0021"
down_revision = "0019"
branch_labels = None
depends_on = None


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


def downgrade() -> None:
    op.drop_table("told")
    op.drop_table("deliveries")
    op.drop_table("notices")
