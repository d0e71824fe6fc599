"""Refusals that may be lifted: those that a later decision replaced. And the address that a decision is about."""

from datetime import UTC, datetime, timedelta

import sqlalchemy as sa
from alembic import op

from pipeline.store.schema.types import Utc

revision = "0010"
down_revision = "0009"
branch_labels = None
depends_on = None

# The columns of a decision, which the first schema protects.
DECISION = "order_id, contact_id, purpose, account_id, decided_at, reason, channel"
# Kept: the old row is a refusal, it stays the same contact's, and it was copied before.
KEPT = (
    "OLD.reason IS NOT NULL AND NEW.order_id = OLD.order_id AND NEW.contact_id = OLD.contact_id "
    "AND NEW.purpose = OLD.purpose AND EXISTS (SELECT 1 FROM refusals WHERE refusals.order_id = OLD.order_id "
    "AND refusals.contact_id = OLD.contact_id AND refusals.purpose = OLD.purpose "
    "AND refusals.decided_at = OLD.decided_at AND refusals.reason = OLD.reason)"
)


def upgrade() -> None:
    op.add_column("asks", sa.Column("address", sa.String(length=64)))
    op.add_column("asks", sa.Column("send_by", sa.DateTime(timezone=True)))
    op.create_index("asks_by_address", "asks", ["address", "decided_at"], unique=False)
    op.create_table(
        "refusals",
        sa.Column("order_id", sa.String(length=200), nullable=False),
        sa.Column("contact_id", sa.String(length=200), nullable=False),
        sa.Column("purpose", sa.String(length=20), nullable=False),
        sa.Column("n", sa.Integer(), nullable=False),
        sa.Column("account_id", sa.String(length=200), nullable=False),
        sa.Column("decided_at", sa.DateTime(timezone=True), nullable=False),
        sa.Column("reason", sa.String(length=40), nullable=False),
        sa.PrimaryKeyConstraint("order_id", "contact_id", "purpose", "n"),
        sqlite_with_rowid=False,
    )
    _copy_recent_recipients()
    if op.get_bind().dialect.name == "sqlite":
        _protect_on_sqlite()
    else:
        _protect_on_postgresql()


def _copy_recent_recipients() -> None:
    """Addresses that were asked recently rest from the first start of this version on; older rows are not needed."""
    asks = sa.table("asks", *(sa.column(name) for name in ("address", "recipient")), sa.column("decided_at", Utc()))
    recent = asks.c.decided_at > datetime.now(UTC) - timedelta(days=30)
    op.execute(asks.update().values(address=asks.c.recipient).where(asks.c.recipient.is_not(None), recent))


def _protect_on_sqlite() -> None:
    op.execute("DROP TRIGGER asks_refuses_update")
    op.execute(
        f"CREATE TRIGGER asks_refuses_update BEFORE UPDATE OF {DECISION} ON asks WHEN NOT ({KEPT}) "
        "BEGIN SELECT RAISE(ABORT, 'asks is append-only'); END"
    )
    for what, when in (("update", "UPDATE"), ("delete", "DELETE")):
        op.execute(
            f"CREATE TRIGGER refusals_refuses_{what} BEFORE {when} ON refusals "
            "BEGIN SELECT RAISE(ABORT, 'refusals is append-only'); END"
        )


def _protect_on_postgresql() -> None:
    op.execute(
        "CREATE FUNCTION refuse_ask_change() RETURNS trigger LANGUAGE plpgsql AS "
        f"$$ BEGIN IF TG_OP = 'UPDATE' THEN IF {KEPT} THEN RETURN NEW; END IF; END IF; "
        "RAISE EXCEPTION '% is append-only', TG_TABLE_NAME; END $$"
    )
    op.execute("DROP TRIGGER asks_refuses_change ON asks")
    op.execute(
        f"CREATE TRIGGER asks_refuses_change BEFORE UPDATE OF {DECISION} OR DELETE ON asks "
        "FOR EACH ROW EXECUTE FUNCTION refuse_ask_change()"
    )
    op.execute(
        "CREATE TRIGGER refusals_refuses_change BEFORE UPDATE OR DELETE ON refusals "
        "FOR EACH ROW EXECUTE FUNCTION refuse_change()"
    )
    op.execute(
        "CREATE TRIGGER refusals_refuses_truncate BEFORE TRUNCATE ON refusals "
        "FOR EACH STATEMENT EXECUTE FUNCTION refuse_change()"
    )


def downgrade() -> None:
    raise NotImplementedError("a refusal that was replaced exists nowhere else")
