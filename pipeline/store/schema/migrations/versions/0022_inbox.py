"""Replies that wait for a person, and the channel that a question moved to."""

import sqlalchemy as sa
from alembic import op

revision = "0022"
down_revision = "0021"
branch_labels = None
depends_on = None


def upgrade() -> None:
    op.add_column("asks", sa.Column("fallback", sa.String(length=100), nullable=True))
    op.create_table(
        "inbox",
        sa.Column("item_id", sa.String(length=32), nullable=False),
        sa.Column("reason", sa.String(length=20), nullable=False),
        sa.Column("source", sa.String(length=200), nullable=False),
        sa.Column("event_id", sa.String(length=500), nullable=False),
        sa.Column("channel", sa.String(length=100), nullable=False),
        sa.Column("received_at", sa.DateTime(timezone=True), nullable=False),
        sa.Column("order_id", sa.String(length=200)),
        sa.Column("contact_id", sa.String(length=200)),
        sa.Column("sender", sa.String(length=64)),
        sa.Column("language", sa.String(length=10)),
        sa.Column("reading", sa.Text()),
        sa.Column("proposed_at", sa.DateTime(timezone=True)),
        sa.Column("proposed_by", sa.String(length=200)),
        sa.Column("proposed_as", sa.String(length=20)),
        sa.Column("closed_at", sa.DateTime(timezone=True)),
        sa.Column("closed_as", sa.String(length=20)),
        sa.Column("closed_by", sa.String(length=200)),
        sa.PrimaryKeyConstraint("item_id"),
    )
    op.create_index("inbox_by_order", "inbox", ["order_id"], unique=False)
    waiting = sa.text("closed_at IS NULL")
    op.create_index(
        "inbox_waiting", "inbox", ["received_at", "item_id"], sqlite_where=waiting, postgresql_where=waiting
    )


def downgrade() -> None:
    op.drop_table("inbox")
    op.drop_column("asks", "fallback")
