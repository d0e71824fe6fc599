"""The list of accounts: its parameters, and the rows of a page, for the page, the read API and files."""

from collections.abc import Sequence
from datetime import date, timedelta
from typing import NamedTuple, get_args
from urllib.parse import urlencode

from msgspec import Struct
from sqlalchemy import Connection

from pipeline.domain.access.permissions import Permission
from pipeline.domain.access.principal import Principal
from pipeline.domain.reports.accounts.sums import Period, Sums, before, parse_period, period_of
from pipeline.domain.reports.periods.spans import ALWAYS
from pipeline.store.cases.reads import open_by_account
from pipeline.store.reads.accounts import sums
from pipeline.store.reads.accounts.sums import AccountRow, Position, Sorting
from pipeline.store.reads.listing.search import accounts_like, names_of
from pipeline.web.internal.filters import LONGEST, reject

SORTINGS: tuple[Sorting, ...] = get_args(Sorting)
_FOUND = 50  # accounts that a search finds at most
_EARLY = timedelta(days=14)  # a quarter that is younger says little
_QUARTERS, _MONTHS = 8, 12  # periods to choose from


class Wanted(NamedTuple):
    """What a list shows. `find`: the beginning of a word of the name or id."""

    period: Period
    sorting: Sorting = "risk"
    find: str = ""

    def address(self, path: str = "/accounts", after: Position | None = None, **changed: object) -> str:
        """The address of this list, of another sorting or period, or of its next page."""
        given: dict[str, object] = {"period": self.period, "sort": self.sorting, "find": self.find} | changed
        given["after"] = "" if after is None else position_text(after)
        return f"{path}?" + urlencode({name: value for name, value in given.items() if str(value)})


class AccountFigures(Struct, frozen=True, kw_only=True):
    """One account over one period. `risk`: orders that probably went badly for the customer. `bad`: answered orders
    that did. `kept` of `dated`: on time by the customer's date. `denied`: claimed on time and experienced late.
    `open_cases`: now; null for those who may not read cases.
    """

    account_id: str
    name: str
    tier: str | None
    risk: float
    orders: int
    pieces: int
    asked: int
    answered: int
    bad: int
    unhappy: int
    delivered: int
    dated: int
    kept: int
    in_full_stated: int
    in_full: int
    denied: int
    open_cases: int | None


def parse(period: str | None, sort: str | None, find: str | None, today: date) -> Wanted:
    """The parameters of a list. Raises ValidationException naming the one that is wrong."""
    if sort and sort not in SORTINGS:
        reject("sort", f"unknown sorting {sort[:LONGEST]!r}; known are: {', '.join(SORTINGS)}")
    found = parse_a_period(period, today)
    if found.length == "month":
        reject("period", "lists are of a quarter, as in 2026-Q4, or of all time")
    sorting: Sorting = "orders" if sort == "orders" else "risk"
    return Wanted(found, sorting, (find or "").strip()[:LONGEST])


def parse_a_period(text: str | None, today: date) -> Period:
    """The period that a parameter names; without one, the quarter of two weeks ago. Raises ValidationException."""
    if not text:
        return period_of("quarter", (today - _EARLY).toordinal())
    try:
        return parse_period(text)
    except ValueError:
        reject("period", f"{text[:LONGEST]!r} is neither a quarter, as in 2026-Q4, nor a month, as in 2026-11, nor all")


def choices(today: date, *, months: bool = False) -> list[Period]:
    """The periods to choose from, the newest first."""
    found = [period_of("quarter", today.toordinal())]
    while len(found) < _QUARTERS:
        found.append(before(found[-1]))
    if months:
        found.append(period_of("month", today.toordinal()))
        while len(found) < _QUARTERS + _MONTHS:
            found.append(before(found[-1]))
    return [*found, Period("all", ALWAYS)]


def position_text(position: Position) -> str:
    """Where a page ended, as the parameter `after`."""
    return f"{position.value},{position.account_id}"


def parse_position(text: str | None) -> Position | None:
    """Where the page before ended. Raises ValidationException if the parameter is not from such a list."""
    if not text:
        return None
    value, separator, account_id = text.partition(",")
    digits = value.removeprefix("-")
    usable = separator and account_id and "\x00" not in account_id and digits.isascii() and digits.isdigit()
    if not usable or len(digits) > len(str(1 << 62)) - 1:
        reject("after", "is not the end of a page of this list")
    return Position(int(value), account_id)


def read(
    connection: Connection, viewer: Principal, wanted: Wanted, limit: int, after: Position | None = None
) -> list[AccountRow]:
    """Accounts in the order of the list. With `find` those that are found, at most 50, on one page."""
    if not wanted.find:
        return sums.page(connection, viewer, wanted.period, wanted.sorting, limit, after)
    ids = [found.account_id for found in accounts_like(connection, viewer, wanted.find, _FOUND)]
    known = sums.of_accounts(connection, viewer, wanted.period, ids).values()
    rows = sorted(known, key=lambda row: row.position(wanted.sorting), reverse=True)
    return [row for row in rows if after is None or row.position(wanted.sorting) < after][:limit]


def out(connection: Connection, viewer: Principal, found: Sequence[AccountRow]) -> list[AccountFigures]:
    """These accounts with names and open cases: three queries, however many there are."""
    ids = [row.account_id for row in found]
    names = names_of(connection, viewer, ids)
    cases = open_by_account(connection, viewer, ids) if viewer.may(Permission.CASES) else None
    return [
        _out(
            row,
            names[row.account_id].name if row.account_id in names else row.account_id,
            names[row.account_id].tier if row.account_id in names else None,
            None if cases is None else cases.get(row.account_id, 0),
        )
        for row in found
    ]


def _out(row: AccountRow, name: str, tier: str | None, open_cases: int | None) -> AccountFigures:
    numbers = {field: getattr(row.sums, field) for field in AccountFigures.__struct_fields__ if field in Sums._fields}
    return AccountFigures(
        account_id=row.account_id, name=name, tier=tier, risk=row.risk / 1_000, open_cases=open_cases, **numbers
    )
