"""The headers of every answer of both listeners, errors too, and the count of every answer."""

from collections.abc import Awaitable, Callable
from typing import cast

from litestar.types import HTTPScope, Message, Scope

from pipeline import metrics

# JSON needs nothing at all; a page its own styles, scripts and pictures, and its forms go home.
_NOTHING = "default-src 'none'; base-uri 'none'; form-action 'none'; frame-ancestors 'none'"
_OWN = (
    "default-src 'none'; style-src 'self'; script-src 'self'; img-src 'self'; font-src 'self'; connect-src 'self'; "
    "form-action 'self'; base-uri 'none'; frame-ancestors 'none'"
)
_ALWAYS = {
    b"strict-transport-security": b"max-age=31536000",  # a year; browsers heed it over TLS only
    b"x-content-type-options": b"nosniff",
    b"referrer-policy": b"no-referrer",
    b"x-robots-tag": b"noindex",
}
_METHODS = frozenset({"GET", "HEAD", "POST", "PUT", "PATCH", "DELETE", "OPTIONS"})


def secured(headers: list[tuple[bytes, bytes]]) -> list[tuple[bytes, bytes]]:
    """These headers and ours, which win. A page may do more than JSON, but not say so itself.

    Only a file of ours whose address changes with its content says that it may be kept.
    """
    page = any(name.lower() == b"content-type" and value.startswith(b"text/html") for name, value in headers)
    kept = any(name.lower() == b"cache-control" and b"immutable" in value for name, value in headers)
    ours = _ALWAYS | {b"content-security-policy": (_OWN if page else _NOTHING).encode()}
    if not kept:
        ours[b"cache-control"] = b"no-store"
    return [(name, value) for name, value in headers if name.lower() not in ours] + list(ours.items())


def on_the_way_out(listener: str) -> Callable[[Message, Scope], Awaitable[None]]:
    """A hook for every message a listener's application sends."""

    async def _hook(message: Message, scope: Scope) -> None:
        if message["type"] != "http.response.start":
            return
        message["headers"] = secured([*message["headers"]])
        method = cast(HTTPScope, scope)["method"]
        metrics.REQUESTS.labels(
            listener,
            scope.get("path_template") or "other",
            method if method in _METHODS else "other",
            f"{message['status'] // 100}xx",
        ).inc()

    return _hook
