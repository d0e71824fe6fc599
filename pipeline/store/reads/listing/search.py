"""The search: orders and customers by id, name or a part of either, without case; segments by their name."""

from collections.abc import Sequence
from typing import Any, NamedTuple

from sqlalchemy import Connection, Select, exists, func, select, true, union_all

from pipeline.domain.access.principal import Principal
from pipeline.domain.detection.segments import Level, Segment
from pipeline.domain.reports.order_list import account_term
from pipeline.store.orders.memberships import visible
from pipeline.store.orders.order_list import ACCOUNT, LONGEST_PART, ORDER, term_digest
from pipeline.store.reads.order_record import read_orders
from pipeline.store.reads.reports import segment_names
from pipeline.store.schema.orders import order_list, order_terms, orders, search_parts

_MOST_PARTS = 20_000  # entries of the index that one search reads
_MOST_ORDERS = 50_000  # orders with the newest events in whose ids a search looks that found nothing else
_CANDIDATES = 50  # accounts that are looked at
_END = b"\xff"  # after all continuations of a text in UTF-8


class FoundAccount(NamedTuple):
    """A customer: its id, and its name on the order with the newest event."""

    account_id: str
    name: str
    tier: str | None = None


def orders_like(connection: Connection, principal: Principal, text: str, limit: int) -> list[str]:
    """Orders whose id has that part: its beginning, or that of a word or a number in it.

    If there is none, any part of the ids of the orders with the newest events counts.
    """
    wanted = text.strip().casefold()
    if not wanted or "\x00" in wanted:
        return []
    parts = _parts(ORDER, wanted).limit(_MOST_PARTS).subquery()
    query = select(parts.c.subject).distinct().order_by(parts.c.subject).limit(limit)
    if not principal.scope.is_everything:
        query = query.join(orders, orders.c.order_id == parts.c.subject).where(visible(connection, principal))
    found = list(connection.execute(query).scalars())
    return sorted(found, key=lambda one: (one.casefold() != wanted, one)) or _within(
        connection, principal, wanted, limit
    )


def _within(connection: Connection, principal: Principal, wanted: str, limit: int) -> list[str]:
    newest = select(order_list.c.order_id).order_by(order_list.c.last_event_at.desc(), order_list.c.order_id.desc())
    if not principal.scope.is_everything:
        newest = newest.where(
            exists().where(orders.c.order_id == order_list.c.order_id, visible(connection, principal))
        )
    known = newest.limit(_MOST_ORDERS).subquery()
    position = func.instr if connection.dialect.name == "sqlite" else func.strpos
    query = select(known.c.order_id).where(position(func.lower(known.c.order_id), wanted) > 0).limit(limit)
    return list(connection.execute(query).scalars())


def accounts_like(connection: Connection, principal: Principal, text: str, limit: int) -> list[FoundAccount]:
    """Customers with an order that the principal sees, whose id or name begins with that text, or a word in it does."""
    wanted = text.strip().casefold()
    if not wanted or "\x00" in wanted:
        return []
    ids = list(connection.execute(_parts(ACCOUNT, wanted).distinct().limit(_CANDIDATES)).scalars())
    return sorted(names_of(connection, principal, ids).values(), key=lambda one: (one.name.casefold(), one.account_id))[
        :limit
    ]


def names_of(connection: Connection, principal: Principal, account_ids: Sequence[str]) -> dict[str, FoundAccount]:
    """Those of these customers with an order that the principal sees, by id. Two queries."""
    samples = _newest_orders(connection, principal, account_ids)
    known = read_orders(connection, principal, samples)
    found = {}
    for order_id in samples:
        if order_id in known:
            account = known[order_id].facts.latest.account
            found[account.id] = FoundAccount(account.id, account.name or account.id, account.tier)
    return found


def segments_like(
    connection: Connection, principal: Principal, levels: Sequence[Level], text: str, limit: int
) -> list[Segment]:
    """Segments that the principal sees, whose value has that part; those that begin with it come first."""
    wanted = text.strip().casefold()
    if not wanted or "\x00" in wanted:
        return []
    found = [
        Segment(level.name, name)
        for level in levels
        for name in segment_names(connection, principal, level.name)
        if wanted in name.casefold()
    ]
    return sorted(found, key=lambda one: (not one.value.casefold().startswith(wanted), one.value, one.dimension))[
        :limit
    ]


def _parts(kind: str, wanted: str) -> Select[Any]:
    first = wanted.encode()[:LONGEST_PART]
    part = search_parts.c.part
    return select(search_parts.c.subject).where(search_parts.c.kind == kind, part >= first, part < first + _END)


def _newest_orders(connection: Connection, principal: Principal, account_ids: Sequence[str]) -> list[str]:
    """Of each account the order with the newest event that the principal sees, if there is one."""
    sees = true() if principal.scope.is_everything else visible(connection, principal)
    queries = []
    for account_id in account_ids:
        term = account_term(account_id)
        joined = select(orders.c.order_id).join(order_terms, order_terms.c.order_id == orders.c.order_id)
        one = joined.where(order_terms.c.term == term_digest(term), sees)
        queries.append(one.order_by(order_terms.c.last_event_at.desc()).limit(1).subquery())
    if not queries:
        return []
    return list(connection.execute(union_all(*(select(query) for query in queries))).scalars())
