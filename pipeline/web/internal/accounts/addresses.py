"""Where accounts and the orders behind their figures are shown."""

from urllib.parse import urlencode

from pipeline.domain.access.permissions import Permission
from pipeline.domain.access.principal import Principal
from pipeline.domain.reports.accounts.sums import Period
from pipeline.store.reads.listing.order_list import OrderFilter
from pipeline.web.internal.orders.behind import Behind


def account_address(account_id: str, period: Period | None = None) -> str:
    """The page of an account. Its id is a query parameter: it may contain anything."""
    given = {"account": account_id} | ({} if period is None else {"period": str(period)})
    return "/accounts/one?" + urlencode(given)


def behind(viewer: Principal, account_id: str, period: Period) -> Behind:
    """The addresses of the orders behind an account's figures."""
    wanted = OrderFilter(account=account_id, first=period.first, last=period.last)
    return Behind(wanted, viewer.may(Permission.ORDERS))
