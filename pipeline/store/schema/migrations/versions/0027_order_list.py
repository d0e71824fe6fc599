"""The list of orders with its indexes, and what the search finds; both filled for orders that exist already."""

from collections.abc import Iterator

import sqlalchemy as sa
from alembic import op

from pipeline.store.orders.orders import list_existing

revision = "0027"
down_revision = "0026"
branch_labels = None
depends_on = None

_BATCH = 500


def upgrade() -> None:
    op.create_table(
        "order_list",
        sa.Column("order_id", sa.String(length=200), nullable=False),
        sa.Column("last_event_at", sa.DateTime(timezone=True), nullable=False),
        sa.Column("day", sa.Integer()),
        sa.Column("verdict", sa.String(length=20)),
        sa.Column("reason", sa.String(length=60)),
        sa.Column("counted", sa.BigInteger(), nullable=False),
        sa.Column("codes", sa.BigInteger(), nullable=False),
        sa.Column("membership", sa.Text(), nullable=False),
        sa.PrimaryKeyConstraint("order_id"),
    )
    op.create_table(
        "order_terms",
        sa.Column("term", sa.BigInteger(), nullable=False),
        sa.Column("last_event_at", sa.DateTime(timezone=True), nullable=False),
        sa.Column("order_id", sa.String(length=200), nullable=False),
        sa.PrimaryKeyConstraint("term", "last_event_at", "order_id"),
        sqlite_with_rowid=False,
    )
    op.create_table(
        "search_parts",
        sa.Column("kind", sa.String(length=10), nullable=False),
        sa.Column("part", sa.LargeBinary(), nullable=False),
        sa.Column("subject", sa.String(length=200), nullable=False),
        sa.PrimaryKeyConstraint("kind", "part", "subject"),
        sqlite_with_rowid=False,
    )
    _fill()
    op.create_index("order_list_by_event", "order_list", ["last_event_at", "order_id"], unique=False)
    op.create_index("order_list_by_day", "order_list", ["day", "last_event_at", "order_id"], unique=False)


def _fill() -> None:
    connection = op.get_bind()
    update = sa.text("UPDATE orders SET counted = :counted WHERE order_id = :order_id")
    for rows in _batches(connection):
        counted = list_existing(connection, rows)
        connection.execute(update, [{"order_id": order_id, "counted": text} for order_id, text in counted.items()])


def _batches(connection: sa.Connection) -> Iterator[list[tuple[str, str, str, str]]]:
    text = "SELECT order_id, facts, dialogue, counted FROM orders WHERE order_id > :after ORDER BY order_id LIMIT :most"
    query = sa.text(text)
    after = ""
    while rows := connection.execute(query, {"after": after, "most": _BATCH}).all():
        yield [(row.order_id, row.facts, row.dialogue, row.counted) for row in rows]
        after = rows[-1].order_id


def downgrade() -> None:
    for table in ("order_list", "order_terms", "search_parts"):
        op.drop_table(table)
