"""Security headers of every response, errors included, and the request counter."""

from collections.abc import Awaitable, Callable
from typing import cast

from litestar.routes import HTTPRoute
from litestar.types import HTTPScope, Message, Scope

from pipeline import metrics

# JSON loads nothing. A page loads its own styles, scripts and images, and its forms are sent to us.
_NOTHING = "default-src 'none'; base-uri 'none'; form-action 'none'; frame-ancestors 'none'"
_OWN = (
    "default-src 'none'; style-src 'self'; script-src 'self'; img-src 'self'; font-src 'self'; connect-src 'self'; "
    "form-action 'self'; base-uri 'none'; frame-ancestors 'none'"
)
_ALWAYS = {
    b"strict-transport-security": b"max-age=31536000",  # a year; browsers apply it to TLS only
    b"x-content-type-options": b"nosniff",
    b"referrer-policy": b"no-referrer",
    b"x-robots-tag": b"noindex",
}
_ALLOWED_METHODS = 204  # the status of the framework's response to OPTIONS
_METHODS = frozenset({"GET", "HEAD", "POST", "PUT", "PATCH", "DELETE", "OPTIONS"})


def with_security_headers(headers: list[tuple[bytes, bytes]]) -> list[tuple[bytes, bytes]]:
    """`headers` with the security headers, which replace any of the same name.

    The policy depends on the content type: HTML may load our own files, everything else may load nothing. Responses
    are not cached, except static files, which are `immutable` because their address changes with their content.
    """
    page = any(name.lower() == b"content-type" and value.startswith(b"text/html") for name, value in headers)
    cacheable = any(name.lower() == b"cache-control" and b"immutable" in value for name, value in headers)
    ours = _ALWAYS | {b"content-security-policy": (_OWN if page else _NOTHING).encode()}
    if not cacheable:
        ours[b"cache-control"] = b"no-store"
    return [(name, value) for name, value in headers if name.lower() not in ours] + list(ours.items())


def _with_all_methods(headers: list[tuple[bytes, bytes]], scope: HTTPScope) -> list[tuple[bytes, bytes]]:
    """The headers with all methods of the path in `Allow`: the framework names those of one handler only."""
    routes = (route for route in scope["litestar_app"].routes if isinstance(route, HTTPRoute))
    methods = {method for route in routes if route.path_format == scope["path_template"] for method in route.methods}
    return [(name, ", ".join(sorted(methods)).encode() if name == b"allow" else value) for name, value in headers]


def response_hook(listener: str) -> Callable[[Message, Scope], Awaitable[None]]:
    """The `before_send` hook of a listener: adds the security headers and counts the response."""

    async def _hook(message: Message, scope: Scope) -> None:
        if message["type"] != "http.response.start":
            return
        method, headers = cast(HTTPScope, scope)["method"], with_security_headers([*message["headers"]])
        if method == "OPTIONS" and message["status"] == _ALLOWED_METHODS:
            headers = _with_all_methods(headers, cast(HTTPScope, scope))
        message["headers"] = headers
        metrics.REQUESTS.labels(
            listener,
            scope.get("path_template") or "other",
            method if method in _METHODS else "other",
            f"{message['status'] // 100}xx",
        ).inc()

    return _hook
