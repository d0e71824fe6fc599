"""When the alerts of a signal were grouped last."""

import sqlalchemy as sa
from alembic import op

revision = "0025"
down_revision = "0024"
branch_labels = None
depends_on = None


def upgrade() -> None:
    op.add_column("explanations", sa.Column("grouped_at", sa.DateTime(timezone=True), nullable=True))
