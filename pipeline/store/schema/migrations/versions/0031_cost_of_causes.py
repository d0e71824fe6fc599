"""Counts what causes cost in scores for orders that exist already: counters of answers that report a fault."""

from collections.abc import Iterator

import sqlalchemy as sa
from alembic import op

from pipeline.store.db.locks import lock_levels
from pipeline.store.orders.orders import count_causes

revision = "0031"
down_revision = "0030"
branch_labels = None
depends_on = None

_BATCH = 500
_IDS = """
SELECT DISTINCT order_id FROM answers
WHERE order_id > :after AND score IS NOT NULL
AND (arrival IN ('late', 'not_received') OR complete = :no OR condition <> '')
ORDER BY order_id LIMIT :most
"""


def upgrade() -> None:
    connection = op.get_bind()
    lock_levels(connection, alone=True)  # a worker of the version before may have one of the orders in hand
    for order_ids in _batches(connection):
        count_causes(connection, order_ids)


def _batches(connection: sa.Connection) -> Iterator[list[str]]:
    query, after = sa.text(_IDS), ""
    while found := list(connection.execute(query, {"after": after, "no": False, "most": _BATCH}).scalars()):
        yield found
        after = found[-1]


def downgrade() -> None:
    """Nothing: the version before keeps the counters that an order has added, and shows none of them."""
