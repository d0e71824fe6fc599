"""Who acts on an internal page, and what its forms carry so that no page of another origin can act."""

from typing import Any

from litestar import Request

from pipeline.web.auth.principal import Principal

_LOCAL = "local"  # without a sign-in in front: commands and tests on this machine


def actor_of(request: Request[Any, Any, Any]) -> str:
    """The name under which an act is recorded: the signed-in user's."""
    user = request.scope.get("user")
    return user.name if isinstance(user, Principal) else _LOCAL


def csrf_of(_request: Request[Any, Any, Any]) -> str:
    """What forms carry in their field `csrf`. The guard checks the origin of each form; there is no session yet."""
    return ""
