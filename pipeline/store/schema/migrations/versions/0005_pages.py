"""An index on the answers that have a comment, for the newest comments."""

import sqlalchemy as sa
from alembic import op

revision = "0005"
down_revision = "0004"
branch_labels = None
depends_on = None


def upgrade() -> None:
    worded = sa.text("comment IS NOT NULL")
    op.create_index(
        "answers_with_words",
        "answers",
        ["received_at", "source", "event_id"],
        unique=False,
        sqlite_where=worded,
        postgresql_where=worded,
    )


def downgrade() -> None:
    op.drop_index("answers_with_words", "answers")
