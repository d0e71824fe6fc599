"""Questions whose sending stays unresolved: a message may or may not have gone out, and it was never found."""

from datetime import datetime
from typing import NamedTuple

from sqlalchemy import Connection, select

from pipeline.domain.access.principal import Principal
from pipeline.store.orders.memberships import visible
from pipeline.store.schema.asks import IS_UNRESOLVED, asks
from pipeline.store.schema.orders import orders

MOST_UNRESOLVED = 1_000  # beyond this the exact number no longer matters


class Unresolved(NamedTuple):
    """How many questions are unresolved, about how many orders, and the newest of these orders."""

    questions: int
    of_orders: int
    newest: tuple[str, ...]


def unresolved_questions(connection: Connection, principal: Principal, since: datetime, limit: int) -> Unresolved:
    """The unresolved questions among those committed to be sent since then, about orders that the principal sees; read
    along the partial index on them.

    Counts at most `MOST_UNRESOLVED` of them and names at most `limit` of their orders.
    """
    query = select(asks.c.order_id).where(IS_UNRESOLVED, asks.c.sending_at >= since)
    if not principal.scope.is_everything:
        query = query.join(orders, orders.c.order_id == asks.c.order_id).where(visible(connection, principal))
    newest_first = asks.c.sending_at.desc(), asks.c.order_id
    found = connection.execute(query.order_by(*newest_first).limit(MOST_UNRESOLVED)).scalars().all()
    concerned = list(dict.fromkeys(found))
    return Unresolved(len(found), len(concerned), tuple(concerned[:limit]))
