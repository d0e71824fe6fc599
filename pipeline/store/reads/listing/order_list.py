"""The list of orders: filtered in SQL, read by key, so that a page costs the same however long the history is.

An order is found by the filter that has the fewest orders: each such filter has an index in the order of the list. The
other filters are conditions on the order's row.
"""

from collections.abc import Collection, Sequence
from datetime import date, datetime
from typing import Any, NamedTuple

from sqlalchemy import (
    ColumnElement,
    Connection,
    Select,
    exists,
    func,
    literal,
    or_,
    select,
    true,
    tuple_,
    union_all,
)

from pipeline.domain.access.principal import Principal
from pipeline.domain.access.scopes import ACCOUNT
from pipeline.domain.detection.segments import Segment
from pipeline.domain.reports.order_list import (
    Term,
    account_term,
    code_bits,
    code_term,
    counted_bits,
    counted_term,
    reason_term,
    segment_term,
    verdict_term,
)
from pipeline.store.db.bulk import among
from pipeline.store.orders.memberships import visible
from pipeline.store.orders.order_list import term_digest
from pipeline.store.people.vault import Vault
from pipeline.store.reads.listing import words
from pipeline.store.schema.orders import order_list, order_terms, orders

FEW = 1_000  # orders of a filter that are read at once and sorted here
_JOIN = "+"

_row = order_list.c
_COLUMNS = (_row.order_id, _row.last_event_at, _row.day, _row.verdict, _row.reason)


class OrderFilter(NamedTuple):
    """What a list is about. Several `codes` are alternatives, as are several `counted` and several segments of one
    dimension; everything else has to hold at once. `first`, `last`: days of completion. `since`: of the last event.
    """

    verdict: str | None = None
    reason: str | None = None
    segments: tuple[Segment, ...] = ()
    account: str | None = None
    first: date | None = None
    last: date | None = None
    codes: tuple[str, ...] = ()
    counted: tuple[str, ...] = ()
    words: str = ""
    since: datetime | None = None


class Position(NamedTuple):
    """Where a page ended: the last order on it."""

    day: int | None
    last_event_at: datetime
    order_id: str


class ListedRow(NamedTuple):
    """One order of a list. `day`: the ordinal of the day of its figures; None until its `order.completed` is known."""

    order_id: str
    last_event_at: datetime
    day: int | None
    verdict: str | None
    reason: str | None

    @property
    def position(self) -> Position:
        """The position after this order."""
        return Position(self.day, self.last_event_at, self.order_id)


def page(
    connection: Connection,
    principal: Principal,
    vault: Vault,
    wanted: OrderFilter,
    limit: int,
    after: Position | None = None,
) -> list[ListedRow]:
    """Orders that the principal sees, those with the newest event first. `after`: where the page before ended.

    With a last day of completion they are sorted by day first, the newest first: so the days after it are not read.
    Without the permission to read words, none is found by words.
    """
    where = _conditions(connection, principal, wanted)
    if wanted.words:
        found = words.orders_with(connection, principal, vault, wanted.words, FEW)
        where.append(words.condition(vault, wanted.words, _row.order_id))
        if found is not None:
            where.append(among(connection, _row.order_id, sorted(found)))
            return _sorted_here(connection, select(*_COLUMNS).where(*where), wanted, limit, after)
    terms, few = _fewest(connection, _alternatives(principal, wanted))
    if few:
        joined = select(*_COLUMNS).join(order_terms, order_terms.c.order_id == _row.order_id)
        query = joined.where(among(connection, order_terms.c.term, terms), *where).distinct()
        return _sorted_here(connection, query, wanted, limit, after)
    if wanted.last is not None or not terms:
        return _along_the_list(connection, where, wanted, limit, after)
    return _along_terms(connection, terms, where, limit, after)


def number(connection: Connection, principal: Principal, vault: Vault, wanted: OrderFilter, most: int) -> int:
    """How many orders there are, counted up to `most`."""
    return len(page(connection, principal, vault, wanted, most))


def entries_of(connection: Connection, principal: Principal, order_ids: Sequence[str]) -> list[ListedRow]:
    """The entries of these orders that the principal sees, in the order of the ids."""
    where = [among(connection, _row.order_id, sorted(order_ids)), *_conditions(connection, principal, OrderFilter())]
    found = {row.order_id: row for row in _rows(connection, select(*_COLUMNS).where(*where))}
    return [found[order_id] for order_id in order_ids if order_id in found]


def _conditions(connection: Connection, principal: Principal, wanted: OrderFilter) -> list[ColumnElement[bool]]:
    found: list[ColumnElement[bool]] = []
    if wanted.verdict is not None:
        found.append(_row.verdict == wanted.verdict)
    if wanted.reason is not None:
        found.append(_row.reason == wanted.reason)
    if wanted.account is not None:
        found.append(_has(connection, account_term(wanted.account)))
    for dimension in dict.fromkeys(segment.dimension for segment in wanted.segments):
        values = [segment.value for segment in wanted.segments if segment.dimension == dimension]
        found.append(or_(*(_in_segment(connection, dimension, value) for value in values)))
    if wanted.first is not None:
        found.append(_row.day >= wanted.first.toordinal())
    if wanted.last is not None:
        found.append(_row.day <= wanted.last.toordinal())
    if wanted.codes:
        found.append(_row.codes.bitwise_and(code_bits(wanted.codes)) != 0)
    if wanted.counted:
        found.append(_row.counted.bitwise_and(counted_bits(wanted.counted)) != 0)
    if wanted.since is not None:
        found.append(_row.last_event_at >= wanted.since)
    if not principal.scope.is_everything:
        found.append(exists().where(orders.c.order_id == _row.order_id, visible(connection, principal)))
    return found


def _has(connection: Connection, term: Term) -> ColumnElement[bool]:
    position = func.instr if connection.dialect.name == "sqlite" else func.strpos
    found: ColumnElement[bool] = position(_row.membership, str(term)) > 0
    return found


def _in_segment(connection: Connection, dimension: str, value: str) -> ColumnElement[bool]:
    """Whether an order belongs to a segment; one of a composite level, to all its parts."""
    whole = _has(connection, segment_term(dimension, value))
    names, values = dimension.split(_JOIN), value.split(_JOIN)
    if len(names) == 1 or len(names) != len(values):
        return whole
    parts = [_has(connection, segment_term(*part)) for part in zip(names, values, strict=True)]
    condition: ColumnElement[bool] = true()
    for part in parts:
        condition = condition & part
    return or_(whole, condition)


def _alternatives(principal: Principal, wanted: OrderFilter) -> list[list[Term]]:
    """The filters that have an index of their orders; each order has one of the terms of every list."""
    found: list[list[Term | None]] = []
    if wanted.account is not None:
        found.append([account_term(wanted.account)])
    for dimension in dict.fromkeys(segment.dimension for segment in wanted.segments if _JOIN not in segment.dimension):
        found.append([segment_term(*segment) for segment in wanted.segments if segment.dimension == dimension])
    if wanted.verdict is not None:
        found.append([verdict_term(wanted.verdict)])
    if wanted.reason is not None:
        found.append([reason_term(wanted.reason)])
    if wanted.codes:
        found.append([code_term(code) for code in wanted.codes])
    if wanted.counted:
        found.append([counted_term(counter) for counter in wanted.counted])
    if not principal.scope.is_everything:
        entries = principal.scope.entries or ()
        found.append([account_term(one.value) if one.dimension == ACCOUNT else segment_term(*one) for one in entries])
    return [[term for term in terms if term is not None] for terms in found if None not in terms]


def _fewest(connection: Connection, alternatives: Sequence[Sequence[Term]]) -> tuple[list[int], bool]:
    """The digests of the terms with the fewest orders, and whether those are few. No terms: no filter has an index."""
    lists = [sorted({term_digest(term) for term in terms}) for terms in alternatives]
    if not lists:
        return [], False
    sizes = [
        select(func.count()).select_from(
            select(literal(1)).where(among(connection, order_terms.c.term, terms)).limit(FEW + 1).subquery()
        )
        for terms in lists
    ]
    counted = connection.execute(select(*(size.scalar_subquery() for size in sizes))).one()
    best = min(range(len(lists)), key=counted.__getitem__)
    return lists[best], counted[best] <= FEW


def _sorted_here(
    connection: Connection, query: Select[Any], wanted: OrderFilter, limit: int, after: Position | None
) -> list[ListedRow]:
    """Few orders, all read and sorted."""
    rows = _rows(connection, query)
    rows.sort(key=lambda row: _rank(row.position, wanted), reverse=True)
    if after is not None:
        rows = [row for row in rows if _rank(row.position, wanted) < _rank(after, wanted)]
    return rows[:limit]


def _rank(position: Position, wanted: OrderFilter) -> tuple[int, datetime, str]:
    day = 0 if wanted.last is None else position.day or 0
    return (day, position.last_event_at, position.order_id)


def _along_the_list(
    connection: Connection,
    where: Collection[ColumnElement[bool]],
    wanted: OrderFilter,
    limit: int,
    after: Position | None,
) -> list[ListedRow]:
    """In the order of the index of all orders."""
    key: list[ColumnElement[Any]] = [_row.last_event_at, _row.order_id]
    if wanted.last is not None:
        key.insert(0, _row.day)
    query = select(*_COLUMNS).where(*where)
    if after is not None:
        query = query.where(tuple_(*key) < _values(after, key))
    return _rows(connection, query.order_by(*(column.desc() for column in key)).limit(limit))


def _along_terms(
    connection: Connection,
    terms: Collection[int],
    where: Collection[ColumnElement[bool]],
    limit: int,
    after: Position | None,
) -> list[ListedRow]:
    """In the order of the index of each term."""
    key: list[ColumnElement[Any]] = [order_terms.c.last_event_at, order_terms.c.order_id]
    parts = []
    for term in terms:
        query = select(*_COLUMNS).join_from(order_terms, order_list, order_terms.c.order_id == _row.order_id)
        query = query.where(order_terms.c.term == term, *where)
        if after is not None:
            query = query.where(tuple_(*key) < _values(after, key))
        parts.append(query.order_by(*(column.desc() for column in key)).limit(limit))
    if len(parts) == 1:
        return _rows(connection, parts[0])
    if not parts:
        return []
    both = union_all(*(select(part.subquery()) for part in parts)).subquery()
    merged = select(both).distinct().order_by(both.c.last_event_at.desc(), both.c.order_id.desc())
    return _rows(connection, merged.limit(limit))


def _values(after: Position, key: Sequence[ColumnElement[Any]]) -> ColumnElement[Any]:
    known = after[-len(key) :]
    return tuple_(*(literal(value, column.type) for value, column in zip(known, key, strict=True)))


def _rows(connection: Connection, query: Select[Any]) -> list[ListedRow]:
    return [ListedRow(*row) for row in connection.execute(query)]
