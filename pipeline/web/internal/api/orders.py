"""Orders as JSON: the list with the filters of the page, and one order."""

from typing import Annotated, Any

from litestar import Request, Router, get
from litestar.exceptions import NotFoundException
from litestar.params import PathParameter, QueryParameter
from msgspec import Struct

from pipeline.domain.access.permissions import Permission
from pipeline.domain.access.principal import Principal
from pipeline.store.db.engine import reading
from pipeline.store.reads.listing import order_list
from pipeline.store.reads.listing.order_list import OrderFilter, Position
from pipeline.web.auth.access import needs, principal_of
from pipeline.web.http.openapi import problems
from pipeline.web.http.services import Services
from pipeline.web.internal.filters import LONGEST
from pipeline.web.internal.orders import list_filter
from pipeline.web.internal.orders.list_filter import Given
from pipeline.web.internal.orders.list_rows import OrderRow, rows_of
from pipeline.web.internal.orders.lookup import find_order
from pipeline.web.internal.orders.order import OrderView

_NEEDS = needs(Permission.ORDERS)
_Request = Request[Any, Any, Any]
MOST = 500  # orders of one answer
USUAL = 50

_Text = str | None
Id = Annotated[_Text, QueryParameter(name="id", description="exact id: one order, also one that no path can name")]
TheVerdict = Annotated[_Text, QueryParameter(name="verdict", description="agrees, embellished, understated, ...")]
TheReason = Annotated[_Text, QueryParameter(name="reason", description="why nobody was asked, such as no_consent")]
Segments = Annotated[
    list[str] | None,
    QueryParameter(
        name="segment", description="DIMENSION:VALUE, such as depot:Lyon; of one dimension several are alternatives"
    ),
]
Account = Annotated[_Text, QueryParameter(name="account", description="id of a customer")]
First = Annotated[_Text, QueryParameter(name="from", description="first day of completion, such as 2026-11-20")]
Last = Annotated[_Text, QueryParameter(name="to", description="last day of completion, such as 2026-11-30")]
Codes = Annotated[
    list[str] | None, QueryParameter(name="code", description="what a customer states, such as late; alternatives")
]
Counted = Annotated[
    list[str] | None,
    QueryParameter(
        name="counted", description="counter that the order is counted in, such as on_time:10; alternatives"
    ),
]
Words = Annotated[
    _Text, QueryParameter(name="words", description="words, or beginnings of at least three letters, in one answer")
]
Since = Annotated[
    _Text,
    QueryParameter(name="modified_since", description="time with offset: orders with an event received since then"),
]
Limit = Annotated[int, QueryParameter(ge=1, le=MOST, description="most orders to return")]
After = Annotated[_Text, QueryParameter(name="after", description="`next` of the page before")]


class OrderPage(Struct, frozen=True):
    """Orders, those with the newest event first (with `to`: by day of completion first). `next`: the parameter `after`
    of the next page; null on the last one.
    """

    orders: list[OrderRow]
    next: str | None


def routes(services: Services) -> list[Router]:
    """`GET /v1/orders` and `GET /v1/orders/{order_id}`."""

    @get(
        "/orders/{order_id:path}",
        opt=_NEEDS,
        sync_to_thread=True,
        summary="One order with its timeline",
        responses=problems(404),
    )
    def get_order(
        request: _Request, order_id: Annotated[str, PathParameter(description="order id, case-sensitive")]
    ) -> OrderView:
        return _order(services, principal_of(request), order_id.removeprefix("/"))

    @get(
        "/orders",
        opt=_NEEDS,
        sync_to_thread=True,
        summary="Orders by filters, page by page; with `id` that order, whatever the filters",
        responses=problems(404),
    )
    def list_orders(
        request: _Request,
        order_id: Id = None,
        verdict: TheVerdict = None,
        reason: TheReason = None,
        segment: Segments = None,
        account: Account = None,
        first: First = None,
        last: Last = None,
        code: Codes = None,
        counted: Counted = None,
        words: Words = None,
        modified_since: Since = None,
        limit: Limit = USUAL,
        after: After = None,
    ) -> OrderPage | OrderView:
        viewer = principal_of(request)
        given = Given(
            verdict, reason, segment or (), account, first, last, code or (), counted or (), words, modified_since
        )
        wanted = list_filter.parse(viewer, given)
        position = list_filter.parse_position(after, wanted)
        return _order(services, viewer, order_id) if order_id else _page(services, viewer, wanted, limit, position)

    return [Router("/v1", route_handlers=[get_order, list_orders], tags=["orders"])]


def _page(
    services: Services, viewer: Principal, wanted: OrderFilter, limit: int, position: Position | None
) -> OrderPage:
    vault = services.store.vault
    with reading(services.store.engine) as connection:
        found = order_list.page(connection, viewer, vault, wanted, limit + 1, position)
        rows = rows_of(connection, viewer, vault, found[:limit])
    more = list_filter.position_text(found[limit - 1].position) if len(found) > limit else None
    return OrderPage(rows, more)


def _order(services: Services, principal: Principal, order_id: str) -> OrderView:
    found = find_order(services, principal, order_id)
    if found is None:
        raise NotFoundException(f"no order {order_id[:LONGEST]!r} found; order ids are case-sensitive")
    return found
