"""Responses: the fixed text that a person sends to whoever has answered."""

import sqlalchemy as sa
from alembic import op

revision = "0033"
down_revision = "0032"
branch_labels = None
depends_on = None


def upgrade() -> None:
    op.add_column("asks", sa.Column("response", sa.String(length=20), nullable=True))


def downgrade() -> None:
    op.drop_column("asks", "response")
