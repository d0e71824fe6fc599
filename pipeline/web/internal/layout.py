"""What all internal pages share: templates, filters, links to orders, and the page that explains an error."""

from collections.abc import Callable
from datetime import UTC
from http import HTTPStatus
from typing import Any
from urllib.parse import quote

from jinja2 import Environment
from litestar import MediaType, Response

from pipeline.domain.access.principal import Principal
from pipeline.notifiers.wording import sentences
from pipeline.web.http.templating import environment
from pipeline.web.internal import words
from pipeline.web.internal.areas import areas_of

Page = Response[str]

_PACKAGE = "pipeline.web.internal"
_STABLE_IN_A_PATH = frozenset("ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789-_")


def order_address(order_id: str) -> str:
    """The path of an order's page. An id that a client could rewrite in a path travels as a query parameter."""
    if order_id and _STABLE_IN_A_PATH.issuperset(order_id):
        return f"/orders/{order_id}"
    return f"/orders?q={quote(order_id, safe='')}"


_FILTERS: dict[str, Callable[..., Any]] = {
    "percent": sentences.percent,
    "day": sentences.day,
    "plain": sentences.plain,
    "headline": sentences.headline,
    "describe": sentences.describe,
    "moment": words.moment,
    "zone": words.zone_of,
    "word": words.plain_word,
    "case_reason": words.case_reason,
    "case_time": words.case_time,
    "order_address": order_address,
}


def page_environment(package: str = _PACKAGE) -> Environment:
    """The templates of one page's package, which extend those of `web/internal/templates`."""
    made = environment(package, _PACKAGE, filters=_FILTERS)
    made.globals |= {"utc": UTC, "areas_of": areas_of}
    return made


def html(text: str, status: HTTPStatus = HTTPStatus.OK) -> Page:
    """A rendered page as a response."""
    return Response(text, status_code=status, media_type=MediaType.HTML)


def error_page(viewer: Principal, status: HTTPStatus, title: str, message: str) -> Page:
    """A page that says what went wrong and what to do."""
    text = _environment.get_template("problem.html.j2").render(viewer=viewer, title=title, message=message)
    return html(text, status)


_environment = page_environment()
