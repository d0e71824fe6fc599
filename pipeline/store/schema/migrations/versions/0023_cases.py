"""Cases: what people have to settle with customers, and the acts about them."""

import sqlalchemy as sa
from alembic import op

revision = "0023"
down_revision = "0022"
branch_labels = None
depends_on = None


def upgrade() -> None:
    op.create_table(
        "cases",
        sa.Column("case_id", sa.String(length=20), nullable=False),
        sa.Column("order_id", sa.String(length=200), nullable=True),
        sa.Column("contact_id", sa.String(length=200), nullable=True),
        sa.Column("incident", sa.Integer(), nullable=True),
        sa.Column("account_id", sa.String(length=200), nullable=True),
        sa.Column("role", sa.String(length=20), nullable=True),
        sa.Column("reasons", sa.Text(), nullable=False),
        sa.Column("severity", sa.String(length=10), nullable=False),
        sa.Column("opened_at", sa.DateTime(timezone=True), nullable=False),
        sa.Column("changed_at", sa.DateTime(timezone=True), nullable=False),
        sa.Column("due_at", sa.DateTime(timezone=True), nullable=False),
        sa.Column("owner", sa.String(length=100), nullable=True),
        sa.Column("overdue", sa.Boolean(), nullable=False),
        sa.Column("closed_at", sa.DateTime(timezone=True), nullable=True),
        sa.Column("outcome", sa.String(length=20), nullable=True),
        sa.Column("follow_up", sa.String(length=20), nullable=True),
        sa.Column("answered_at", sa.DateTime(timezone=True), nullable=True),
        sa.Column("acts", sa.Integer(), nullable=False),
        sa.PrimaryKeyConstraint("case_id"),
    )
    op.create_index("cases_by_order", "cases", ["order_id", "contact_id"], unique=True)
    op.create_index("cases_by_incident", "cases", ["incident"], unique=True)
    is_open, is_closed = sa.text("closed_at IS NULL"), sa.text("closed_at IS NOT NULL")
    op.create_index("cases_open", "cases", ["due_at", "case_id"], sqlite_where=is_open, postgresql_where=is_open)
    op.create_index(
        "cases_closed", "cases", ["closed_at", "case_id"], sqlite_where=is_closed, postgresql_where=is_closed
    )
    op.create_table(
        "case_acts",
        sa.Column("case_id", sa.String(length=20), nullable=False),
        sa.Column("act", sa.Integer(), nullable=False),
        sa.Column("at", sa.DateTime(timezone=True), nullable=False),
        sa.Column("by", sa.String(length=100), nullable=False),
        sa.Column("what", sa.String(length=20), nullable=False),
        sa.Column("change", sa.String(length=20), nullable=True),
        sa.Column("event", sa.Text(), nullable=False),
        sa.Column("words", sa.Text(), nullable=True),
        sa.PrimaryKeyConstraint("case_id", "act"),
    )
    _protect()


def _protect() -> None:
    if op.get_bind().dialect.name == "sqlite":
        for what, when in (("update", "UPDATE"), ("delete", "DELETE")):
            op.execute(
                f"CREATE TRIGGER case_acts_refuses_{what} BEFORE {when} ON case_acts "
                "BEGIN SELECT RAISE(ABORT, 'case_acts is append-only'); END"
            )
        return
    op.execute(
        "CREATE TRIGGER case_acts_refuses_change BEFORE UPDATE OR DELETE ON case_acts "
        "FOR EACH ROW EXECUTE FUNCTION refuse_change()"
    )
    op.execute(
        "CREATE TRIGGER case_acts_refuses_truncate BEFORE TRUNCATE ON case_acts "
        "FOR EACH STATEMENT EXECUTE FUNCTION refuse_change()"
    )


def downgrade() -> None:
    raise NotImplementedError("what people did is not forgotten")
