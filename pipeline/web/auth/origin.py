"""Which page a changing request comes from: another origin may not use the cookies of its visitor."""

from typing import Any
from urllib.parse import urlsplit

from litestar.connection import ASGIConnection

from pipeline.settings import Settings
from pipeline.web.http.problems import Problem

_Connection = ASGIConnection[Any, Any, Any, Any]


class ForeignOrigin(Problem):
    """The request comes from a page of another origin."""

    def __init__(self) -> None:
        super().__init__(403, "this request comes from a page of another origin")


def check_origin(connection: _Connection, settings: Settings) -> None:
    """Raises ForeignOrigin. Programs send no `Origin`; another port of this machine is another origin, too."""
    origin = connection.headers.get("origin")
    # Under our own no-referrer policy, browsers send "null" with the forms of our own pages.
    if origin == "null" and connection.headers.get("sec-fetch-site") == "same-origin":
        return
    if origin is not None and not _is_own(connection, origin, settings):
        raise ForeignOrigin


def own_url(connection: _Connection, settings: Settings) -> str:
    """The URL of the internal listener as its user sees it, without a slash at the end."""
    return settings.internal_url or f"{connection.scope['scheme']}://{connection.headers.get('host', '')}"


def _is_own(connection: _Connection, origin: str, settings: Settings) -> bool:
    if settings.internal_url is not None:
        own, given = urlsplit(settings.internal_url), urlsplit(origin)
        return (given.scheme, given.netloc) == (own.scheme, own.netloc)
    return urlsplit(origin).netloc == connection.headers.get("host")
