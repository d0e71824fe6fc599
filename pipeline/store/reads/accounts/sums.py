"""The sums of accounts, for those who see all orders of an account.

The sums count the orders of every segment. Those whose scope names segments see a part of an account's orders, of
which there are no sums: for them there is nothing here.
"""

from collections.abc import Collection, Sequence
from typing import Any, Literal, NamedTuple

from sqlalchemy import Connection, Select, literal, select, tuple_

from pipeline.domain.access.principal import Principal
from pipeline.domain.access.scopes import ACCOUNT
from pipeline.domain.reports.accounts.sums import Period, Sums
from pipeline.store.db.bulk import among
from pipeline.store.schema.orders import IS_LISTED, account_sums

Sorting = Literal["risk", "orders"]

_row = account_sums.c
_COLUMNS = (_row.account_id, _row.risk, *(_row[name] for name in Sums._fields))


class Position(NamedTuple):
    """Where a page ended: the value it is sorted by, and the account."""

    value: int
    account_id: str


class AccountRow(NamedTuple):
    """An account's sums over one period. `risk`: thousandths of an order (`sums.risk`)."""

    account_id: str
    risk: int
    sums: Sums

    def position(self, sorting: Sorting) -> Position:
        """The position after this account."""
        return Position(self.risk if sorting == "risk" else self.sums.orders, self.account_id)


def sees_account(principal: Principal, account_id: str) -> bool:
    """Whether the principal sees all orders of an account."""
    known = accounts_in(principal)
    return known is None or account_id in known


def accounts_in(principal: Principal) -> list[str] | None:
    """The accounts that the principal's scope names; None: every account."""
    entries = principal.scope.entries
    return None if entries is None else sorted(entry.value for entry in entries if entry.dimension == ACCOUNT)


def page(
    connection: Connection,
    principal: Principal,
    period: Period,
    sorting: Sorting,
    limit: int,
    after: Position | None = None,
) -> list[AccountRow]:
    """The accounts with orders in a quarter or in all time, the largest value first; read along its index."""
    value = _row.risk if sorting == "risk" else _row.orders
    query = _of(principal, connection, period).where(IS_LISTED)
    if after is not None:
        given = tuple_(literal(after.value, value.type), literal(after.account_id, _row.account_id.type))
        query = query.where(tuple_(value, _row.account_id) < given)
    return _rows(connection, query.order_by(value.desc(), _row.account_id.desc()).limit(limit))


def of_accounts(
    connection: Connection, principal: Principal, period: Period, account_ids: Collection[str]
) -> dict[str, AccountRow]:
    """Those of these accounts with orders in the period that the principal sees, by id."""
    query = _of(principal, connection, period).where(among(connection, _row.account_id, sorted(account_ids)))
    return {row.account_id: row for row in _rows(connection, query)}


def months(connection: Connection, principal: Principal, account_id: str, first_days: Sequence[int]) -> dict[int, Sums]:
    """The sums of an account over these months, by their first day (an ordinal); months without orders are left out."""
    if not sees_account(principal, account_id):
        return {}
    here = (_row.length == "month", among(connection, _row.first_day, first_days), _row.account_id == account_id)
    query = select(_row.first_day, *(_row[name] for name in Sums._fields)).where(*here)
    return {day: Sums(*numbers) for day, *numbers in connection.execute(query)}


def _of(principal: Principal, connection: Connection, period: Period) -> Select[Any]:
    query = select(*_COLUMNS).where(_row.length == period.length, _row.first_day == period.first_day)
    known = accounts_in(principal)
    return query if known is None else query.where(among(connection, _row.account_id, known))


def _rows(connection: Connection, query: Select[Any]) -> list[AccountRow]:
    return [AccountRow(account_id, risk, Sums(*numbers)) for account_id, risk, *numbers in connection.execute(query)]
