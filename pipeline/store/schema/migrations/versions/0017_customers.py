"""The links of codes on delivery notes, those that end messages, and the channel that a question moved to."""

import sqlalchemy as sa
from alembic import op

revision = "0017"
down_revision = "0016"
branch_labels = None
depends_on = None


def upgrade() -> None:
    op.create_table(
        "qr_links",
        sa.Column("token_hash", sa.String(length=64), nullable=False),
        sa.Column("order_id", sa.String(length=200), nullable=False),
        sa.Column("made_at", sa.DateTime(timezone=True), nullable=False),
        sa.PrimaryKeyConstraint("token_hash"),
        sqlite_with_rowid=False,
    )
    op.add_column("asks", sa.Column("fallback", sa.String(length=100), nullable=True))
    op.add_column("asks", sa.Column("unsubscribe_token_hash", sa.String(length=64), nullable=True))
    op.create_index("asks_by_unsubscribe_token", "asks", ["unsubscribe_token_hash"], unique=True)


def downgrade() -> None:
    raise NotImplementedError("printed codes still exist")
