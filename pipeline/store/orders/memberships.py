"""Which scopes contain an order, as text next to it: the condition under which a query finds an order.

Each entry is escaped and stands between spaces, so that one entry is never part of another.
"""

import re
from collections.abc import Callable, Collection, Mapping
from functools import lru_cache
from urllib.parse import quote

from sqlalchemy import ColumnElement, Connection, and_, false, func, or_, select, true

from pipeline.domain.access.principal import Principal
from pipeline.domain.access.scopes import ACCOUNT
from pipeline.domain.detection.segments import Segment
from pipeline.domain.orders.facts import Facts
from pipeline.store.db.bulk import among
from pipeline.store.schema.orders import orders

_UNRESERVED = re.compile(r"[A-Za-z0-9_.~-]*").fullmatch  # what `quote` leaves as it is, at a tenth of its cost


def membership_text(facts: Facts) -> str:
    """The entries that contain the order of these facts; "" until its `order.completed` is received."""
    if not facts.known:
        return ""
    return membership_of(facts.latest.account.id, facts.latest.dimensions)


def membership_of(account_id: str, dimensions: Mapping[str, str]) -> str:
    """The entries that contain an order of this account with these dimensions.

    A dimension with the name of the account's entries is left out: it must not open an account to anybody.
    """
    plain = ((name, value) for name, value in dimensions.items() if name != ACCOUNT)
    return "".join(map(_escaped, [(ACCOUNT, account_id), *sorted(plain)])) + " "


def visible(connection: Connection, principal: Principal) -> ColumnElement[bool]:
    """The condition on `orders` that the principal sees the order."""
    entries = principal.scope.entries
    if entries is None:
        return true()
    position = _position(connection)
    return or_(false(), *(position(orders.c.memberships, f"{_escaped(entry)} ") > 0 for entry in entries))


def contains(connection: Connection, segment: Segment) -> ColumnElement[bool]:
    """The condition on `orders` that the order is one of a segment, also of one of several dimensions.

    Composite values that can be split in two ways contain nothing.
    """
    names, values = segment.dimension.split("+"), segment.value.split("+")
    if len(names) == 1:
        values = [segment.value]
    if len(names) != len(values):
        return false()
    position = _position(connection)
    entries = zip(names, values, strict=True)
    return and_(true(), *(position(orders.c.memberships, f"{_escaped(entry)} ") > 0 for entry in entries))


def may_see(connection: Connection, principal: Principal, order_id: str) -> bool:
    """Whether the principal sees the order; of an order that is not known yet, whether their scope is everything."""
    if principal.scope.is_everything:
        return True
    return bool(visible_orders(connection, principal, [order_id]))


def visible_orders(connection: Connection, principal: Principal, order_ids: Collection[str]) -> set[str]:
    """Those of these orders that the principal sees."""
    query = select(orders.c.order_id).where(
        among(connection, orders.c.order_id, sorted(order_ids)), visible(connection, principal)
    )
    return set(connection.execute(query).scalars())


def _position(connection: Connection) -> Callable[..., ColumnElement[int]]:
    return func.instr if connection.dialect.name == "sqlite" else func.strpos


@lru_cache(maxsize=65_536)
def _escaped(entry: tuple[str, str]) -> str:
    dimension, value = entry
    return f" {_quoted(dimension)}={_quoted(value)}"


def _quoted(text: str) -> str:
    return text if _UNRESERVED(text) else quote(text, safe="")
