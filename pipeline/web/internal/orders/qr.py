"""The code on an order's delivery note, for systems and people who print it."""

from http import HTTPStatus
from typing import Any

from litestar import Response, get
from litestar.params import FromPath, FromQuery

from pipeline.domain.events.spelling import normal
from pipeline.notifiers import qr_code
from pipeline.store.asks.links import MAX_ORDER_ID, qr_token
from pipeline.web.http.problems import Problem
from pipeline.web.http.services import Services

_MEDIA_TYPES = {"svg": "image/svg+xml", "png": "image/png"}


def routes(services: Services) -> list[Any]:
    """`GET /v1/qr/{order_id}`."""

    @get("/v1/qr/{order_id:path}", sync_to_thread=True, summary="The code on an order's delivery note")
    def qr(order_id: FromPath[str], format: FromQuery[str] = "svg") -> Response[bytes]:
        """A picture (`format` svg or png) of the link to the order's form, for whoever receives the goods.

        The order need not be known yet. The code of an order is always the same.
        """
        if format not in _MEDIA_TYPES:
            raise Problem(HTTPStatus.BAD_REQUEST, "the formats are svg and png", "format")
        wanted = normal(order_id.removeprefix("/"))
        if not 1 <= len(wanted) <= MAX_ORDER_ID:
            raise Problem(HTTPStatus.BAD_REQUEST, f"an order id has 1 to {MAX_ORDER_ID} characters", "order_id")
        with services.store.engine.begin() as connection:
            token = qr_token(connection, services.store.vault, wanted, services.now())
        link = f"{services.settings.public_url.rstrip('/')}/f/{token}"
        content = qr_code.picture(link, "png" if format == "png" else "svg")
        return Response(content, media_type=_MEDIA_TYPES[format])

    return [qr]
