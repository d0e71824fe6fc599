"""When each source of events sent something, so that its silence is noticed."""

import sqlalchemy as sa
from alembic import op

revision = "0024"
down_revision = "0023"
branch_labels = None
depends_on = None


def upgrade() -> None:
    op.create_table(
        "sources",
        sa.Column("source", sa.String(length=200), nullable=False),
        sa.Column("first_slot", sa.Integer(), nullable=False),
        sa.Column("silent", sa.Boolean(), nullable=False),
        sa.PrimaryKeyConstraint("source"),
        sqlite_with_rowid=False,
    )
    op.create_table(
        "source_slots",
        sa.Column("source", sa.String(length=200), nullable=False),
        sa.Column("slot", sa.Integer(), nullable=False),
        sa.PrimaryKeyConstraint("source", "slot"),
        sqlite_with_rowid=False,
    )


def downgrade() -> None:
    op.drop_table("source_slots")
    op.drop_table("sources")
