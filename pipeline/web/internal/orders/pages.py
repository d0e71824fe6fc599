"""The list of orders and the page of one order."""

from http import HTTPStatus
from typing import Any

from litestar import MediaType, Request, get
from litestar.params import FromPath, FromQuery

from pipeline.domain.access.permissions import Permission
from pipeline.domain.access.principal import Principal
from pipeline.domain.detection.segments import Segment
from pipeline.store.cases.reads import of_order
from pipeline.store.db.engine import reading
from pipeline.store.reads.listing.order_list import OrderFilter
from pipeline.store.reads.version import version_of
from pipeline.web.auth.access import needs, principal_of
from pipeline.web.http.services import Services
from pipeline.web.internal.filters import LONGEST
from pipeline.web.internal.layout import Page, error_page, html, page_environment
from pipeline.web.internal.orders import list_filter, list_page
from pipeline.web.internal.orders.lookup import find_order
from pipeline.web.internal.words import zone_of

_environment = page_environment("pipeline.web.internal.orders")
_NEEDS = needs(Permission.ORDERS)


def routes(services: Services) -> list[Any]:
    """`GET /orders` and `GET /orders/{order_id}`."""

    @get("/orders", opt=_NEEDS, media_type=MediaType.HTML, sync_to_thread=True, include_in_schema=False)
    def order_search(request: Request[Any, Any, Any], q: FromQuery[str] = "") -> Page:
        """The list; with `q` the page of the order with that id, which may be no part of a path."""
        order_id = q.strip()
        if not order_id:
            return list_page.show(services, request)
        return _order_page(services, principal_of(request), order_id)

    @get("/orders/{order_id:path}", opt=_NEEDS, media_type=MediaType.HTML, sync_to_thread=True, include_in_schema=False)
    def order_page(request: Request[Any, Any, Any], order_id: FromPath[str]) -> Page:
        return _order_page(services, principal_of(request), order_id.removeprefix("/"))

    return [order_search, order_page]


def _order_page(services: Services, viewer: Principal, order_id: str) -> Page:
    found = find_order(services, viewer, order_id) if order_id else None
    if found is None:
        message = f"No order “{order_id[:LONGEST]}” found. The search finds orders by a part of their id, too."
        return error_page(viewer, HTTPStatus.NOT_FOUND, "Order not found", message)
    with reading(services.store.engine) as connection:
        version = version_of(connection, viewer, services.store)
        cases = of_order(connection, viewer, order_id) if viewer.may(Permission.CASES) else []
    segments = (Segment(name, value) for name, value in found.dimensions.items())
    page = _environment.get_template("order.html.j2").render(
        viewer=viewer,
        order=found,
        where=zone_of(found.timezone),
        version=version,
        cases=cases,
        of_account=list_filter.address(OrderFilter(account=found.account_id)),
        segments={one.dimension: list_filter.address(OrderFilter(segments=(one,))) for one in segments},
    )
    return html(page)
