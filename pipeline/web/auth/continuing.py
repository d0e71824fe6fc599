"""Where a browser continues after the sign-in: the page of ours that it wanted."""

import re
from typing import Any
from urllib.parse import urlencode

from litestar import Request

_MAX_PATH = 2_000  # characters
_OWN_PATH = re.compile(r"/(?!/)[!-\[\]-~]*")  # printable ASCII without backslash


def own_path(given: str) -> str:
    """The path to continue with after the sign-in: the given one if it leads to a page of ours, else the dashboard.

    Browsers drop control characters and read a backslash as a slash, and two slashes begin another host.
    """
    return given if len(given) <= _MAX_PATH and _OWN_PATH.fullmatch(given) else "/"


def address_of(request: Request[Any, Any, Any]) -> str:
    """Path and query of a request, as the browser sent them."""
    path = request.scope["raw_path"].partition(b"?")[0].decode("latin-1")
    query = request.scope["query_string"].decode("latin-1")
    return own_path(f"{path}?{query}" if query else path)


def sign_in_address(following: str) -> str:
    """The address of the sign-in page that continues with `following`."""
    return "/sign-in" if following == "/" else f"/sign-in?{urlencode({'next': following})}"
