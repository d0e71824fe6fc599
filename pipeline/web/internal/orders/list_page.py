"""The list of orders: filters in the address, fifty orders a page by key."""

from http import HTTPStatus
from typing import Any

from litestar import Request
from litestar.exceptions import ValidationException

from pipeline.domain.access.permissions import Permission
from pipeline.domain.access.principal import Principal
from pipeline.domain.reports.order_list import CODES
from pipeline.store.db.engine import reading
from pipeline.store.reads.listing import order_list
from pipeline.web.auth.access import principal_of
from pipeline.web.http.services import Services
from pipeline.web.internal.filters import explain
from pipeline.web.internal.layout import Page, error_page, html, page_environment
from pipeline.web.internal.orders import list_filter
from pipeline.web.internal.orders.list_filter import Given
from pipeline.web.internal.orders.list_rows import rows_of

PAGE = 50  # orders
MOST_COUNTED = 1_000  # orders whose number the page states
_environment = page_environment("pipeline.web.internal.orders")
_environment.globals |= {"VERDICTS": list_filter.VERDICTS, "REASONS": list_filter.REASONS, "CODES": CODES}


def given_in(request: Request[Any, Any, Any]) -> Given:
    """The filter parameters of a page's address."""
    query = request.query_params

    def one(name: str) -> str | None:
        found: str | None = query.get(name)
        return found

    return Given(
        verdict=one("verdict"),
        reason=one("reason"),
        segment=query.getall("segment", []),
        account=one("account"),
        first=one("from"),
        last=one("to"),
        code=query.getall("code", []),
        counted=query.getall("counted", []),
        words=one("words"),
        modified_since=one("modified_since"),
    )


def show(services: Services, request: Request[Any, Any, Any]) -> Page:
    """The page for the parameters of the request."""
    viewer = principal_of(request)
    try:
        values = _values(services, viewer, given_in(request), request.query_params.get("after"))
    except ValidationException as error:
        return error_page(viewer, HTTPStatus.BAD_REQUEST, "Invalid parameter", explain(error))
    return html(_environment.get_template("list.html.j2").render(viewer=viewer, **values))


def _values(services: Services, viewer: Principal, given: Given, after: str | None) -> dict[str, Any]:
    wanted = list_filter.parse(viewer, given)
    position, vault = list_filter.parse_position(after, wanted), services.store.vault
    with reading(services.store.engine) as connection:
        found = order_list.page(connection, viewer, vault, wanted, PAGE + 1, position)
        number = None
        if position is None:
            number = len(found)
            if number > PAGE:
                number = order_list.number(connection, viewer, vault, wanted, MOST_COUNTED + 1)
        return {
            "wanted": wanted,
            "segments": [list_filter.segment_text(segment) for segment in wanted.segments],
            "chips": list_filter.chips(wanted),
            "rows": rows_of(connection, viewer, vault, found[:PAGE]),
            "number": number,
            "most": MOST_COUNTED,
            "first_page": list_filter.address(wanted) if position is not None else None,
            "more": list_filter.address(wanted, after=found[PAGE - 1].position) if len(found) > PAGE else None,
            "file": list_filter.address(wanted, "/export/orders"),
            "may_read_words": viewer.may(Permission.WORDS),
        }
