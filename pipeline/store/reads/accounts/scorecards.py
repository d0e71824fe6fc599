"""The scorecard of an account over one period, and the links that open it."""

from datetime import datetime
from typing import Any, NamedTuple

from sqlalchemy import Connection, Row, func, select

from pipeline.domain.access.principal import SYSTEM, Principal
from pipeline.domain.reports.accounts.sums import Period, Sums, parse_period
from pipeline.domain.reports.periods.calendar import begin_of, end_of
from pipeline.store.reads.accounts import sums
from pipeline.store.reads.listing.search import names_of
from pipeline.store.schema.alerting.cases import cases
from pipeline.store.schema.orders import scorecard_links


class Scorecard(NamedTuple):
    """What a purchaser can show upstairs. `raised`: cases that were opened in the period about the account's orders;
    `settled`: of them, closed by now. No person and no words.
    """

    account_id: str
    name: str
    period: Period
    sums: Sums
    raised: int
    settled: int


class Link(NamedTuple):
    """A link to a scorecard. `key`: the digest of its token, by which it is revoked."""

    key: str
    account_id: str
    period: Period
    created_at: datetime
    created_by: str
    ends_at: datetime
    revoked_at: datetime | None


class Opened(NamedTuple):
    """What a token opens. `card` None: the link has ended."""

    card: Scorecard | None
    ends_at: datetime


def read(connection: Connection, principal: Principal, account_id: str, period: Period) -> Scorecard | None:
    """The scorecard of an account all of whose orders the principal sees; None: there is no such account for them."""
    if not sums.sees_account(principal, account_id):
        return None
    found = names_of(connection, principal, [account_id]).get(account_id)
    if found is None:
        return None
    row = sums.of_accounts(connection, principal, period, [account_id]).get(account_id)
    raised, settled = _cases(connection, account_id, period)
    return Scorecard(account_id, found.name, period, Sums() if row is None else row.sums, raised, settled)


def open_link(connection: Connection, token_hash: str, now: datetime) -> Opened | None:
    """What the token with that digest opens now; None: there is no such link, or it was revoked."""
    row = connection.execute(select(scorecard_links).where(scorecard_links.c.token_hash == token_hash)).one_or_none()
    if row is None or row.revoked_at is not None:
        return None
    if row.ends_at <= now:
        return Opened(None, row.ends_at)
    return Opened(read(connection, SYSTEM, row.account_id, parse_period(row.period)), row.ends_at)


def links_of(connection: Connection, principal: Principal, account_id: str, limit: int) -> list[Link]:
    """The newest links to scorecards of an account all of whose orders the principal sees."""
    if not sums.sees_account(principal, account_id):
        return []
    query = select(scorecard_links).where(scorecard_links.c.account_id == account_id)
    newest = scorecard_links.c.created_at.desc(), scorecard_links.c.token_hash
    return [_link(row) for row in connection.execute(query.order_by(*newest).limit(limit))]


def _link(row: Row[Any]) -> Link:
    times = (row.ends_at, row.revoked_at)
    return Link(row.token_hash, row.account_id, parse_period(row.period), row.created_at, row.created_by, *times)


def _cases(connection: Connection, account_id: str, period: Period) -> tuple[int, int]:
    columns: list[Any] = [func.count(), func.count(cases.c.closed_at)]
    query = select(*columns).where(cases.c.account_id == account_id)
    if period.first is not None and period.last is not None:
        query = query.where(cases.c.opened_at >= begin_of(period.first), cases.c.opened_at < end_of(period.last))
    raised, settled = connection.execute(query).one()
    return int(raised), int(settled)
