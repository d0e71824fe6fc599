"""Inbound texts, the conversations they belong to, and status callbacks of the provider."""

import sqlalchemy as sa
from alembic import op

revision = "0003"
down_revision = "0002"
branch_labels = None
depends_on = None

# What was said stays as it was said: table -> columns that are filled in behind it.
APPEND_ONLY: dict[str, tuple[str, ...]] = {
    "inbound_messages": ("outcome", "order_id", "contact_id", "reply"),
    "provider_callbacks": (),
}


def upgrade() -> None:
    op.create_table(
        "inbound_messages",
        sa.Column("source", sa.String(length=40), nullable=False),
        sa.Column("message_id", sa.String(length=200), nullable=False),
        sa.Column("received_at", sa.DateTime(timezone=True), nullable=False),
        sa.Column("sender", sa.String(length=64), nullable=True),
        sa.Column("text", sa.LargeBinary(), nullable=False),
        sa.Column("outcome", sa.String(length=20), nullable=False),
        sa.Column("order_id", sa.String(length=200), nullable=True),
        sa.Column("contact_id", sa.String(length=200), nullable=True),
        sa.Column("reply", sa.Text(), nullable=True),
        sa.PrimaryKeyConstraint("source", "message_id"),
    )
    op.create_index("inbound_by_sender", "inbound_messages", ["sender", "received_at"], unique=False)
    op.create_index("inbound_by_order", "inbound_messages", ["order_id"], unique=False)
    op.create_table(
        "conversations",
        sa.Column("order_id", sa.String(length=200), nullable=False),
        sa.Column("contact_id", sa.String(length=200), nullable=False),
        sa.Column("question", sa.String(length=20), nullable=False),
        sa.Column("tries", sa.SmallInteger(), nullable=False),
        sa.Column("changed_at", sa.DateTime(timezone=True), nullable=False),
        sa.Column("said", sa.Text(), nullable=False),
        sa.PrimaryKeyConstraint("order_id", "contact_id"),
    )
    op.create_table(
        "provider_callbacks",
        sa.Column("message_id", sa.String(length=100), nullable=False),
        sa.Column("status", sa.String(length=40), nullable=False),
        sa.Column("received_at", sa.DateTime(timezone=True), nullable=False),
        sa.Column("error_code", sa.String(length=20), nullable=True),
        sa.PrimaryKeyConstraint("message_id", "status"),
    )
    for table, free in APPEND_ONLY.items():
        _protect(table, free)


def _protect(table: str, free: tuple[str, ...]) -> None:
    """Refuse to delete rows of a table, and to change any but the free columns. `refuse_change` is from 0001."""
    bind = op.get_bind()
    columns = [column["name"] for column in sa.inspect(bind).get_columns(table) if column["name"] not in free]
    changes = f"UPDATE OF {', '.join(columns)}"
    if bind.dialect.name == "sqlite":
        for what, when in (("update", changes), ("delete", "DELETE")):
            op.execute(
                f"CREATE TRIGGER {table}_refuses_{what} BEFORE {when} ON {table} "
                f"BEGIN SELECT RAISE(ABORT, '{table} is append-only'); END"
            )
        return
    for name, when, each in (("change", f"{changes} OR DELETE", "ROW"), ("truncate", "TRUNCATE", "STATEMENT")):
        op.execute(
            f"CREATE TRIGGER {table}_refuses_{name} BEFORE {when} ON {table} "
            f"FOR EACH {each} EXECUTE FUNCTION refuse_change()"
        )


def downgrade() -> None:
    raise NotImplementedError("what customers said is not thrown away")
