"""The life of an ask: when it is due, which dispatcher sends it, its outcome. And the demo phones.

The triggers of the first schema name the decision's columns, so those stay as they were decided; the new ones may
change.
"""

import sqlalchemy as sa
from alembic import op

revision = "0002"
down_revision = "0001"
branch_labels = None
depends_on = None

LIFE: tuple[sa.Column[object], ...] = (
    sa.Column("due_at", sa.DateTime(timezone=True)),
    sa.Column("wake_at", sa.DateTime(timezone=True)),
    sa.Column("attempt", sa.Integer(), nullable=False, server_default="0"),
    sa.Column("owner", sa.String(length=100)),
    sa.Column("sending_at", sa.DateTime(timezone=True)),
    sa.Column("request", sa.Text()),
    sa.Column("recipient", sa.String(length=64)),
    sa.Column("form_token_hash", sa.String(length=64)),
    sa.Column("callback_token_hash", sa.String(length=64)),
    sa.Column("provider_id", sa.String(length=100)),
    sa.Column("outcome", sa.String(length=20)),
    sa.Column("code", sa.Integer()),
    sa.Column("sent_at", sa.DateTime(timezone=True)),
    sa.Column("delivered_at", sa.DateTime(timezone=True)),
)


def upgrade() -> None:
    for column in LIFE:
        op.add_column("asks", column)
    op.create_index("asks_by_wake_at", "asks", ["wake_at"], unique=False)
    op.create_index("asks_by_form_token", "asks", ["form_token_hash"], unique=True)
    op.create_index("asks_by_callback_token", "asks", ["callback_token_hash"], unique=True)
    op.create_index("asks_by_recipient", "asks", ["recipient"], unique=False)
    op.create_table(
        "phone_messages",
        sa.Column("id", sa.String(length=40), nullable=False),
        sa.Column("at", sa.DateTime(timezone=True), nullable=False),
        sa.Column("incoming", sa.Boolean(), nullable=False),
        sa.Column("number", sa.String(length=40), nullable=False),
        sa.Column("account_id", sa.String(length=200), nullable=False),
        sa.Column("contact_id", sa.String(length=200), nullable=False),
        sa.Column("order_id", sa.String(length=200), nullable=False),
        sa.Column("link_hash", sa.String(length=64), nullable=True),
        sa.Column("body", sa.Text(), nullable=False),
        sa.PrimaryKeyConstraint("id"),
    )
    op.create_index("phone_messages_by_number", "phone_messages", ["number", "at"], unique=False)


def downgrade() -> None:
    raise NotImplementedError("what was sent cannot be unsent")
