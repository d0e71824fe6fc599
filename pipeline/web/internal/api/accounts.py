"""Accounts as JSON: the list of the page."""

from typing import Annotated, Any

from litestar import Request, Router, get
from litestar.params import QueryParameter
from msgspec import Struct

from pipeline.domain.access.permissions import Permission
from pipeline.domain.events.spelling import normal
from pipeline.store.db.engine import reading
from pipeline.store.journal.state import clock_of
from pipeline.store.reads.accounts import sums
from pipeline.web.auth.access import needs, principal_of
from pipeline.web.http.openapi import problems
from pipeline.web.http.services import Services
from pipeline.web.internal.accounts import account_list
from pipeline.web.internal.accounts.account_list import AccountFigures

_Request = Request[Any, Any, Any]
MOST = 500  # accounts of one answer
USUAL = 50

_Text = str | None
ThePeriod = Annotated[
    _Text, QueryParameter(name="period", description="quarter such as 2026-Q4, or `all`; with `account` also a month")
]
TheSorting = Annotated[_Text, QueryParameter(name="sort", description="`risk` or `orders`, the largest first")]
Find = Annotated[_Text, QueryParameter(name="find", description="beginning of a word of the name or id; at most 50")]
One = Annotated[_Text, QueryParameter(name="account", description="exact id: this account alone")]
Limit = Annotated[int, QueryParameter(ge=1, le=MOST, description="most accounts to return")]
After = Annotated[_Text, QueryParameter(name="after", description="`next` of the page before")]


class AccountPage(Struct, frozen=True):
    """Accounts with orders in the period. `next`: the parameter `after` of the next page; null on the last one."""

    period: str
    accounts: list[AccountFigures]
    next: str | None


def routes(services: Services) -> list[Router]:
    """`GET /v1/accounts`."""

    @get(
        "/accounts",
        opt=needs(Permission.FIGURES),
        sync_to_thread=True,
        summary="Accounts by risk or by orders, page by page; with `account` one account",
        responses=problems(),
    )
    def list_accounts(
        request: _Request,
        period: ThePeriod = None,
        sort: TheSorting = None,
        find: Find = None,
        account: One = None,
        limit: Limit = USUAL,
        after: After = None,
    ) -> AccountPage:
        viewer = principal_of(request)
        with reading(services.store.engine) as connection:
            today = clock_of(connection).date()
            if account:
                shown = account_list.parse_a_period(period, today)
                rows = [*sums.of_accounts(connection, viewer, shown, [normal(account)]).values()]
                return AccountPage(str(shown), account_list.out(connection, viewer, rows), None)
            wanted, position = account_list.parse(period, sort, find, today), account_list.parse_position(after)
            found = account_list.read(connection, viewer, wanted, limit + 1, position)
            listed = account_list.out(connection, viewer, found[:limit])
        more = account_list.position_text(found[limit - 1].position(wanted.sorting)) if len(found) > limit else None
        return AccountPage(str(wanted.period), listed, more)

    return [Router("/v1", route_handlers=[list_accounts], tags=["accounts"])]
