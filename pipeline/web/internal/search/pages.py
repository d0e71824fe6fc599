"""The search: orders by a part of their id, customers by id or name, segments by name. Case does not count."""

from typing import Any

from litestar import MediaType, Request, get
from litestar.params import FromQuery

from pipeline.domain.access.permissions import Permission
from pipeline.domain.access.principal import Principal
from pipeline.domain.detection.segments import Segment
from pipeline.store.db.engine import reading
from pipeline.store.reads.listing import search
from pipeline.store.reads.listing.order_list import OrderFilter
from pipeline.web.auth.access import needs, principal_of
from pipeline.web.http.services import Services
from pipeline.web.internal.filters import LONGEST
from pipeline.web.internal.layout import Page, html, page_environment
from pipeline.web.internal.orders import list_filter

MOST = 20  # results of each kind
_environment = page_environment("pipeline.web.internal.search")


def _segment_address(segment: Segment) -> str:
    return list_filter.address(OrderFilter(segments=(segment,)))


_environment.filters["segment_address"] = _segment_address


def routes(services: Services) -> list[Any]:
    """`GET /search`."""

    @get(
        "/search",
        opt=needs(Permission.FIGURES),
        media_type=MediaType.HTML,
        sync_to_thread=True,
        include_in_schema=False,
    )
    def search_page(request: Request[Any, Any, Any], q: FromQuery[str] = "") -> Page:
        viewer, wanted = principal_of(request), q.strip()[:LONGEST]
        values = _found(services, viewer, wanted)
        return html(_environment.get_template("search.html.j2").render(viewer=viewer, q=wanted, most=MOST, **values))

    return [search_page]


def _found(services: Services, viewer: Principal, wanted: str) -> dict[str, Any]:
    with reading(services.store.engine) as connection:
        levels = services.current_setup(connection).levels
        found: dict[str, Any] = {
            "segments": search.segments_like(connection, viewer, levels, wanted, MOST),
            "orders": [],
            "accounts": [],
        }
        if viewer.may(Permission.ORDERS):
            found["orders"] = search.orders_like(connection, viewer, wanted, MOST)
            found["accounts"] = search.accounts_like(connection, viewer, wanted, MOST)
    return found
