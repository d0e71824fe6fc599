"""Sign-in by the token that is configured or printed at start. There are no user accounts."""

import hashlib
import hmac
import re
from typing import Any
from urllib.parse import urlencode, urlsplit

from litestar import Request, Response, get, post
from litestar.connection import ASGIConnection
from litestar.datastructures import Cookie
from litestar.enums import MediaType
from litestar.handlers.base import BaseRouteHandler
from litestar.response import Redirect
from litestar.types import ControllerRouterHandler, Guard

from pipeline.web.auth import OPEN
from pipeline.web.auth.principal import TOKEN_HOLDER
from pipeline.web.http.bearer import bearer_token
from pipeline.web.http.forms import read_form
from pipeline.web.http.problems import Problem, response_of
from pipeline.web.http.templating import environment

COOKIE = "unvarnished_session"
_MAX_FIELDS = 10  # of the sign-in form
_MAX_PATH = 2_000  # characters
_OWN_PATH = re.compile(r"/(?!/)[!-\[\]-~]*")  # printable ASCII without backslash
_environment = environment("pipeline.web.auth")


class NotSignedIn(Problem):
    """401 for programs; browsers are redirected to the sign-in page (`not_signed_in_response`)."""

    def __init__(self) -> None:
        super().__init__(
            401,
            "sign in with the link printed at start, or send the token: Authorization: Bearer TOKEN",
            headers={"WWW-Authenticate": 'Bearer realm="unvarnished internal"'},
        )


def guard(token: str) -> Guard:
    """Requires the bearer token or the session cookie, except for routes marked `OPEN`. Sets `request.user`.

    The guard raises NotSignedIn, or Problem 403 if a page of another origin sends the cookie with a changing request.
    """
    session = _session(token)

    def _check(connection: ASGIConnection[Any, Any, Any, Any], handler: BaseRouteHandler) -> None:
        if handler.opt.get("open"):
            return
        connection.scope["user"] = TOKEN_HOLDER
        bearer = bearer_token(connection.headers.get("authorization", ""))
        if bearer is not None and _same(bearer, token):
            return
        if not _same(connection.cookies.get(COOKIE, ""), session):
            raise NotSignedIn
        if connection.scope.get("method") not in ("GET", "HEAD"):
            _check_origin(connection)

    return _check


def not_signed_in_response(request: Request[Any, Any, Any], error: NotSignedIn) -> Response[Any]:
    """The exception handler of NotSignedIn: the sign-in page for a browser that wants a page, else the problem."""
    if request.method == "GET" and "text/html" in request.headers.get("accept", ""):
        return Redirect(_sign_in_address(_address_of(request)), status_code=303)
    return response_of(error)


def routes(token: str) -> list[ControllerRouterHandler]:
    """`GET /sign-in`, with or without the token of the printed link, and `POST /sign-in` with a pasted token."""

    def _sign_in(given: str, following: str) -> Response[Any]:
        if not _same(given, token):
            return _page(following, wrong=True)
        # Not Secure: this listener serves plain HTTP on loopback, where browsers would reject a Secure cookie.
        cookie = Cookie(COOKIE, value=_session(token), path="/", httponly=True, samesite="lax")
        return Redirect(following, status_code=303, cookies=[cookie])

    @get("/sign-in", opt=OPEN, include_in_schema=False, sync_to_thread=False)
    def sign_in_page(request: Request[Any, Any, Any]) -> Response[Any]:
        given, following = request.query_params.get("token"), own_path(request.query_params.get("next", ""))
        return _page(following, wrong=False) if given is None else _sign_in(given, following)

    @post("/sign-in", opt=OPEN, include_in_schema=False)
    async def sign_in(request: Request[Any, Any, Any]) -> Response[Any]:
        _check_origin(request)
        fields = dict(await read_form(request, _MAX_FIELDS))
        return _sign_in(fields.get("token", ""), own_path(fields.get("next", "")))

    return [sign_in_page, sign_in]


def own_path(given: str) -> str:
    """The path to continue with after the sign-in: the given one if it leads to a page of ours, else the dashboard.

    Browsers drop control characters and read a backslash as a slash, and two slashes begin another host.
    """
    return given if len(given) <= _MAX_PATH and _OWN_PATH.fullmatch(given) else "/"


def _address_of(request: Request[Any, Any, Any]) -> str:
    """Path and query of a request, as the browser sent them."""
    path = request.scope["raw_path"].partition(b"?")[0].decode("latin-1")
    query = request.scope["query_string"].decode("latin-1")
    return own_path(f"{path}?{query}" if query else path)


def _sign_in_address(following: str) -> str:
    return "/sign-in" if following == "/" else f"/sign-in?{urlencode({'next': following})}"


def _page(following: str, wrong: bool) -> Response[str]:
    page = _environment.get_template("sign_in.html.j2").render(wrong=wrong, following=following)
    return Response(page, status_code=401 if wrong else 200, media_type=MediaType.HTML)


def _session(token: str) -> str:
    """The value of the session cookie. It is derived from the token, so another token ends all sessions."""
    return hmac.new(token.encode(), b"session", hashlib.sha256).hexdigest()


def _same(given: str, expected: str) -> bool:
    return hmac.compare_digest(given.encode(), expected.encode())


def _check_origin(connection: ASGIConnection[Any, Any, Any, Any]) -> None:
    """Reject a page of another origin that uses the cookie; another port of this machine is another origin, too."""
    origin = connection.headers.get("origin")
    # Under our own no-referrer policy, browsers send "null" with the forms of our own pages.
    if origin == "null" and connection.headers.get("sec-fetch-site") == "same-origin":
        return
    if origin is not None and urlsplit(origin).netloc != connection.headers.get("host"):
        raise Problem(403, "this request comes from a page of another origin")
