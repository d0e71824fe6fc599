"""The sums of accounts, filled for orders that exist already; cases by account; links to scorecards."""

from collections.abc import Iterator

import sqlalchemy as sa
from alembic import op

from pipeline.store.orders.orders import add_to_accounts

revision = "0030"
down_revision = "0029"
branch_labels = None
depends_on = None

_BATCH = 2_000
_NUMBERS = [
    "orders",
    "pieces",
    "asked",
    "answered",
    "bad",
    "unhappy",
    "delivered",
    "dated",
    "kept",
    "in_full_stated",
    "in_full",
    "on_time_stated",
    "on_time",
    "confirmed",
    "denied",
    "better",
    "late",
]
_LISTED = sa.text("length != 'month'")


def upgrade() -> None:
    risk = sa.Computed("1000 * orders * (2 * bad + 1) / (2 * (answered + 5))", persisted=True)
    op.create_table(
        "account_sums",
        sa.Column("length", sa.String(length=7), nullable=False),
        sa.Column("first_day", sa.Integer(), nullable=False),
        sa.Column("account_id", sa.String(length=200), nullable=False),
        *(sa.Column(name, sa.BigInteger(), nullable=False) for name in _NUMBERS),
        sa.Column("risk", sa.BigInteger(), risk),
        sa.PrimaryKeyConstraint("length", "first_day", "account_id"),
        sqlite_with_rowid=False,
    )
    _fill()
    for name in ("risk", "orders"):
        columns = ["length", "first_day", name, "account_id"]
        index = f"account_sums_by_{name}"
        op.create_index(index, "account_sums", columns, sqlite_where=_LISTED, postgresql_where=_LISTED)
    op.create_index("cases_by_account", "cases", ["account_id", "opened_at"], unique=False)
    op.create_table(
        "scorecard_links",
        sa.Column("token_hash", sa.String(length=64), nullable=False),
        sa.Column("account_id", sa.String(length=200), nullable=False),
        sa.Column("period", sa.String(length=10), nullable=False),
        sa.Column("created_at", sa.DateTime(timezone=True), nullable=False),
        sa.Column("created_by", sa.String(length=100), nullable=False),
        sa.Column("ends_at", sa.DateTime(timezone=True), nullable=False),
        sa.Column("revoked_at", sa.DateTime(timezone=True)),
        sa.Column("revoked_by", sa.String(length=100)),
        sa.PrimaryKeyConstraint("token_hash"),
    )
    op.create_index("scorecard_links_by_account", "scorecard_links", ["account_id", "created_at"], unique=False)


def _fill() -> None:
    connection = op.get_bind()
    for rows in _batches(connection):
        add_to_accounts(connection, rows)


def _batches(connection: sa.Connection) -> Iterator[list[tuple[str, str]]]:
    query = sa.text("SELECT order_id, facts, counted FROM orders WHERE order_id > :after ORDER BY order_id LIMIT :most")
    after = ""
    while rows := connection.execute(query, {"after": after, "most": _BATCH}).all():
        yield [(row.facts, row.counted) for row in rows]
        after = rows[-1].order_id


def downgrade() -> None:
    op.drop_index("cases_by_account", "cases")
    op.drop_table("account_sums")
    op.drop_table("scorecard_links")
