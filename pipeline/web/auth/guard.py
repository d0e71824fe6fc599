"""The guard of the internal listener: finds out who makes a request, and refuses what they may not do."""

import hmac
from http import HTTPStatus
from typing import Any, cast

from anyio import to_thread
from litestar import Request, Response
from litestar.connection import ASGIConnection
from litestar.enums import MediaType
from litestar.handlers.base import BaseRouteHandler
from litestar.response import Redirect
from litestar.types import AsyncAnyCallable

from pipeline.domain.access.permissions import Permission
from pipeline.domain.access.principal import Principal
from pipeline.web.auth.access import Protection, access_of, is_passive
from pipeline.web.auth.auth import Auth, SignedIn
from pipeline.web.auth.continuing import address_of, sign_in_address
from pipeline.web.auth.cookies import CSRF_FIELD, CSRF_HEADER, SESSION, csrf_token
from pipeline.web.auth.origin import check_origin
from pipeline.web.auth.tokens import Tokens
from pipeline.web.http.bearer import bearer_token
from pipeline.web.http.forms import form_fields
from pipeline.web.http.problems import Problem, response_of
from pipeline.web.internal.layout import page_environment

_Connection = ASGIConnection[Any, Any, Any, Any]
_SAFE = ("GET", "HEAD", "OPTIONS")
_MAX_FIELDS = 100
_SESSION = "unvarnished.session"
_environment = page_environment("pipeline.web.auth")


class NotSignedIn(Problem):
    """401 for programs; browsers are redirected to the sign-in page (`not_signed_in_response`)."""

    def __init__(self) -> None:
        super().__init__(
            401,
            "sign in, or send a token: Authorization: Bearer TOKEN",
            headers={"WWW-Authenticate": 'Bearer realm="unvarnished internal"'},
        )


class Forbidden(Problem):
    """403: the role may not do this. What is outside a scope is 404 instead."""

    def __init__(self, permission: Permission) -> None:
        super().__init__(403, f"your role does not have the permission {permission!r}")


class ForgedForm(Problem):
    """403: the form was not made by a page of this session."""

    def __init__(self) -> None:
        super().__init__(403, "this form is not from the current session: load the page again")


def guard(auth: Auth) -> AsyncAnyCallable:
    """Requires a bearer token or a session, and the permission of the route. Sets `request.user`.

    The guard raises NotSignedIn, Forbidden, ForeignOrigin or ForgedForm. With a bearer token there is no cookie that a
    foreign page could use, so the last two concern sessions.
    """

    async def _check(connection: _Connection, handler: BaseRouteHandler) -> None:
        if isinstance(access_of(handler), Protection):
            return
        signed_in = await to_thread.run_sync(_identify, auth, connection, not is_passive(handler))
        _admit(connection, handler, signed_in)
        if signed_in is not None and signed_in.session_id is not None:
            connection.scope["state"][_SESSION] = signed_in.session_id
            if connection.scope.get("method") not in _SAFE:
                check_origin(connection, auth.settings)
                await _check_form(cast("Request[Any, Any, Any]", connection), signed_in.session_id)

    return _check


def token_guard(tokens: Tokens) -> AsyncAnyCallable:
    """The guard of a process without pages, where nobody signs in."""

    async def _check(connection: _Connection, handler: BaseRouteHandler) -> None:
        if isinstance(access_of(handler), Protection):
            return
        bearer = bearer_token(connection.headers.get("authorization", ""))
        principal = None if bearer is None else await to_thread.run_sync(tokens.principal_of, bearer)
        _admit(connection, handler, None if principal is None else SignedIn(principal))

    return _check


def session_of(connection: _Connection) -> str | None:
    """The id of the session that a request belongs to; None: it has a bearer token."""
    found: str | None = connection.scope["state"].get(_SESSION)
    return found


def csrf_of(connection: _Connection) -> str:
    """What the forms of a page carry in the field `csrf`; "" where there is no session."""
    session_id = session_of(connection)
    return "" if session_id is None else csrf_token(session_id)


def not_signed_in_response(request: Request[Any, Any, Any], error: NotSignedIn) -> Response[Any]:
    """The exception handler of NotSignedIn: the sign-in page for a browser that wants a page, else the problem."""
    if _wants_page(request):
        return Redirect(sign_in_address(address_of(request)), status_code=303)
    return response_of(error)


def forbidden_response(request: Request[Any, Any, Any], error: Forbidden) -> Response[Any]:
    """The exception handler of Forbidden: a page for a browser that wants one. Who has no dashboard gets to theirs."""
    if not _wants_page(request):
        return response_of(error)
    principal: Principal = request.scope["user"]
    if request.url.path == "/" and principal.may(Permission.USERS):
        return Redirect("/users", status_code=303)
    page = _environment.get_template("forbidden.html.j2").render(viewer=principal)
    return Response(page, status_code=HTTPStatus.FORBIDDEN, media_type=MediaType.HTML)


def _wants_page(request: Request[Any, Any, Any]) -> bool:
    return request.method == "GET" and "text/html" in request.headers.get("accept", "")


def _identify(auth: Auth, connection: _Connection, touch: bool) -> SignedIn | None:
    bearer = bearer_token(connection.headers.get("authorization", ""))
    if bearer is not None:  # a cookie next to it opens nothing
        principal = auth.tokens.principal_of(bearer)
        return None if principal is None else SignedIn(principal)
    session_id = auth.cookies.read(connection, SESSION)
    return auth.by_session(session_id, touch) if session_id else None


def _admit(connection: _Connection, handler: BaseRouteHandler, signed_in: SignedIn | None) -> None:
    if signed_in is None:
        raise NotSignedIn
    connection.scope["user"] = signed_in.principal
    access = access_of(handler)  # None: the answer to OPTIONS
    if isinstance(access, Permission) and not signed_in.principal.may(access):
        raise Forbidden(access)


async def _check_form(request: Request[Any, Any, Any], session_id: str) -> None:
    given = request.headers.get(CSRF_HEADER)
    if given is None:
        try:
            given = dict(form_fields(await request.body(), _MAX_FIELDS)).get(CSRF_FIELD, "")
        except ValueError:
            raise ForgedForm from None
    if not hmac.compare_digest(given.encode(), csrf_token(session_id).encode()):
        raise ForgedForm
