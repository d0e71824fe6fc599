"""The code on an order's delivery note, for systems and people who print it."""

from http import HTTPStatus
from typing import Any

from litestar import Request, Response, get
from litestar.exceptions import NotFoundException
from litestar.openapi.datastructures import ResponseSpec
from litestar.params import FromPath, FromQuery

from pipeline.domain.access.permissions import Permission
from pipeline.domain.events.spelling import normal
from pipeline.notifiers import qr_code
from pipeline.store.asks.links import MAX_ORDER_ID, qr_token
from pipeline.store.orders.memberships import may_see
from pipeline.web.auth.access import needs, principal_of
from pipeline.web.http.openapi import problems
from pipeline.web.http.problems import Problem
from pipeline.web.http.services import Services
from pipeline.web.internal.filters import LONGEST

_Request = Request[Any, Any, Any]
_MEDIA_TYPES = {"svg": "image/svg+xml", "png": "image/png"}


def routes(services: Services) -> list[Any]:
    """`GET /v1/qr/{order_id}`."""

    @get(
        "/v1/qr/{order_id:path}",
        opt=needs(Permission.ORDERS),
        sync_to_thread=True,
        summary="The code on an order's delivery note",
        responses=problems(404) | {200: ResponseSpec(bytes, False, "The picture", media_type="image/svg+xml")},
    )
    def get_qr_picture(request: _Request, order_id: FromPath[str], format: FromQuery[str] = "svg") -> Response[bytes]:
        """A picture (`format` svg or png) of the link to the order's form, for whoever receives the goods.

        The order need not be known yet. If it is, the reader has to see it. The code of an order is always the same.
        """
        if format not in _MEDIA_TYPES:
            raise Problem(HTTPStatus.BAD_REQUEST, "the formats are svg and png", "format")
        wanted = normal(order_id.removeprefix("/"))
        if not 1 <= len(wanted) <= MAX_ORDER_ID:
            raise Problem(HTTPStatus.BAD_REQUEST, f"an order id has 1 to {MAX_ORDER_ID} characters", "order_id")
        with services.store.engine.begin() as connection:
            if not may_see(connection, principal_of(request), wanted):
                raise NotFoundException(f"no order {wanted[:LONGEST]!r} found")
            token = qr_token(connection, services.store.vault, wanted, services.now())
        link = f"{services.settings.public_url.rstrip('/')}/f/{token}"
        content = qr_code.picture(link, "png" if format == "png" else "svg")
        return Response(content, media_type=_MEDIA_TYPES[format])

    return [get_qr_picture]
