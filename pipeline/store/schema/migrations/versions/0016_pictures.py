"""Where the pictures that came with a text are at the provider."""

import sqlalchemy as sa
from alembic import op

revision = "0016"
down_revision = "0015"
branch_labels = None
depends_on = None


def upgrade() -> None:
    op.add_column("inbound_messages", sa.Column("media", sa.LargeBinary(), nullable=True))


def downgrade() -> None:
    raise NotImplementedError("what customers sent is not forgotten")
