"""The journal keeps a digest of what an event says, so that an id used again for something else is noticed."""

import sqlalchemy as sa
from alembic import op

revision = "0008"
down_revision = "0007"
branch_labels = None
depends_on = None


def upgrade() -> None:
    op.add_column("journal", sa.Column("content_digest", sa.String(64), nullable=True))


def downgrade() -> None:
    op.drop_column("journal", "content_digest")
