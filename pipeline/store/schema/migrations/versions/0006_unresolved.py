"""An index on the unresolved questions."""

import sqlalchemy as sa
from alembic import op

revision = "0006"
down_revision = "0005"
branch_labels = None
depends_on = None


def upgrade() -> None:
    unresolved = sa.text("state = 'unresolved'")
    op.create_index(
        "asks_unresolved",
        "asks",
        ["sending_at"],
        unique=False,
        sqlite_where=unresolved,
        postgresql_where=unresolved,
    )


def downgrade() -> None:
    op.drop_index("asks_unresolved", "asks")
