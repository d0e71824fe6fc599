"""The account of an order, read without decoding all of its facts."""

from collections.abc import Collection, Mapping

import msgspec
from msgspec import Raw, Struct
from sqlalchemy import Connection, select

from pipeline.store.db.bulk import among
from pipeline.store.schema.orders import orders

_ORDERS_OF_A_QUERY = 5_000


class _Account(Struct):
    id: str


class _Revision(Struct, array_like=True):
    """The first elements of `facts.Revision`; the rest is not read."""

    time: Raw
    source: Raw
    id: Raw
    account: _Account


class _Facts(Struct):
    revisions: list[_Revision] = []


_facts = msgspec.json.Decoder(_Facts)


def accounts_of(connection: Connection, order_ids: Collection[str]) -> Mapping[str, str]:
    """The accounts of those of these orders that are known, by order."""
    found, ids = dict[str, str](), list(order_ids)
    for start in range(0, len(ids), _ORDERS_OF_A_QUERY):
        these = among(connection, orders.c.order_id, ids[start : start + _ORDERS_OF_A_QUERY])
        for order_id, facts in connection.execute(select(orders.c.order_id, orders.c.facts).where(these)):
            revisions = _facts.decode(facts).revisions
            if revisions:
                found[order_id] = revisions[-1].account.id
    return found
