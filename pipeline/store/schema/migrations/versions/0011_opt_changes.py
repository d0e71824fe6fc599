"""Every STOP and START with its time, addresses that rest, the question after each text, and the form's answers."""

import sqlalchemy as sa
from alembic import op

revision = "0011"
down_revision = "0010"
branch_labels = None
depends_on = None


def upgrade() -> None:
    op.create_table(
        "opt_changes",
        sa.Column("digest", sa.String(length=64), nullable=False),
        sa.Column("source", sa.String(length=200), nullable=False),
        sa.Column("id", sa.String(length=600), nullable=False),
        sa.Column("stops", sa.Boolean(), nullable=False),
        sa.Column("at", sa.DateTime(timezone=True), nullable=False),
        sa.PrimaryKeyConstraint("digest", "source", "id"),
        sqlite_with_rowid=False,
    )
    op.create_index("opt_changes_by_id", "opt_changes", ["source", "id"], unique=False)
    op.create_table(
        "undeliverable_addresses",
        sa.Column("digest", sa.String(length=64), nullable=False),
        sa.Column("at", sa.DateTime(timezone=True), nullable=False),
        sa.Column("code", sa.Integer(), nullable=True),
        sa.PrimaryKeyConstraint("digest"),
        sqlite_with_rowid=False,
    )
    op.add_column("inbound_messages", sa.Column("next_question", sa.String(length=20), nullable=True))
    op.create_table(
        "form_answers",
        sa.Column("order_id", sa.String(length=200), nullable=False),
        sa.Column("contact_id", sa.String(length=200), nullable=False),
        sa.Column("event_id", sa.String(length=64), nullable=False),
        sa.PrimaryKeyConstraint("order_id", "contact_id", "event_id"),
        sqlite_with_rowid=False,
    )


def downgrade() -> None:
    raise NotImplementedError("who wants no messages is not forgotten")
