"""What every route names: the permission it needs, or how else it is protected. A route that names nothing does not
start.
"""

from collections.abc import Iterator
from enum import StrEnum
from typing import Any, NamedTuple

from litestar import Litestar
from litestar.connection import ASGIConnection
from litestar.handlers import BaseRouteHandler
from litestar.routes import ASGIRoute, HTTPRoute

from pipeline.domain.access.permissions import Permission
from pipeline.domain.access.principal import Principal

_ACCESS = "access"
_PASSIVE = "passive"


class Protection(StrEnum):
    """How a route is protected that needs no permission."""

    OPEN = "open"  # for everybody: it tells and changes nothing that is anybody's
    SIGN_IN = "sign_in"  # part of the sign-in
    API_KEY = "api_key"  # the handler checks the key of a system that sends events
    LINK = "link"  # the handler checks the token of a link
    SIGNATURE = "signature"  # the handler checks the signature of a provider


class AccessRoute(NamedTuple):
    """One method of a route and what it needs."""

    method: str
    path: str
    access: Permission | Protection


def needs(permission: Permission, passive: bool = False) -> dict[str, Any]:
    """`opt` of a route of the internal listener. `passive`: pages ask by themselves; it keeps no session alive."""
    return {_ACCESS: permission, _PASSIVE: passive}


def protected_by(protection: Protection) -> dict[str, Any]:
    """`opt` of a route that needs no permission."""
    return {_ACCESS: protection}


OPEN = protected_by(Protection.OPEN)


def access_of(handler: BaseRouteHandler) -> Permission | Protection | None:
    """What a route needs; None if it does not say."""
    found: Permission | Protection | None = handler.opt.get(_ACCESS)
    return found


def is_passive(handler: BaseRouteHandler) -> bool:
    """Whether pages call the route by themselves."""
    return bool(handler.opt.get(_PASSIVE))


def routes_of(app: Litestar) -> Iterator[AccessRoute]:
    """Every method of every route, without the answers to OPTIONS. Raises LookupError if one does not say its need."""
    for route in app.routes:
        if isinstance(route, HTTPRoute):
            for handler in route.route_handlers:
                for method in sorted(handler.http_methods - {"OPTIONS"}):
                    yield AccessRoute(method, route.path, _required(handler, f"{method} {route.path}"))
        elif isinstance(route, ASGIRoute):
            yield AccessRoute("GET", route.path, _required(route.route_handler, route.path))


def check_routes(app: Litestar, guarded: bool) -> Litestar:
    """The app, if every route says what it needs, and if only a `guarded` app has routes that need a permission.

    Raises LookupError.
    """
    for route in routes_of(app):
        if isinstance(route.access, Permission) and not guarded:
            raise LookupError(f"{route.method} {route.path} needs a permission, and nothing on this listener checks it")
    return app


def principal_of(connection: ASGIConnection[Any, Any, Any, Any]) -> Principal:
    """Who makes a request. The guard has set it."""
    user = connection.user
    if not isinstance(user, Principal):
        raise LookupError("no guard has checked this request")
    return user


def _required(handler: BaseRouteHandler, name: str) -> Permission | Protection:
    access = access_of(handler)
    if access is None:
        raise LookupError(f"{name} names no permission (web/auth/access.py)")
    return access
