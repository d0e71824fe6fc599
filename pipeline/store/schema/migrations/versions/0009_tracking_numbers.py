"""The tracking numbers of orders, and the events that name no order but such a number."""

import sqlalchemy as sa
from alembic import op

revision = "0009"
down_revision = "0008"
branch_labels = None
depends_on = None


def upgrade() -> None:
    op.create_table(
        "tracking_numbers",
        sa.Column("number", sa.String(length=100), nullable=False),
        sa.Column("order_id", sa.String(length=200), nullable=False),
        sa.Column("since", sa.DateTime(timezone=True), nullable=False),
        sa.PrimaryKeyConstraint("number", "order_id"),
        sqlite_with_rowid=False,
    )
    op.create_table(
        "tracked_events",
        sa.Column("source", sa.String(length=200), nullable=False),
        sa.Column("event_id", sa.String(length=500), nullable=False),
        sa.Column("number", sa.String(length=100), nullable=False),
        sa.Column("received_at", sa.DateTime(timezone=True), nullable=False),
        sa.Column("event", sa.Text(), nullable=False),
        sa.PrimaryKeyConstraint("source", "event_id"),
    )
    op.create_index("tracked_events_by_number", "tracked_events", ["number"], unique=False)


def downgrade() -> None:
    op.drop_table("tracked_events")
    op.drop_table("tracking_numbers")
