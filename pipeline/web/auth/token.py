"""Who may use the internal listener: whoever has the token printed at start, until there are user accounts."""

import hashlib
import hmac
from typing import Any
from urllib.parse import urlsplit

from litestar import Request, Response, get, post
from litestar.connection import ASGIConnection
from litestar.datastructures import Cookie
from litestar.enums import MediaType
from litestar.handlers.base import BaseRouteHandler
from litestar.response import Redirect
from litestar.types import ControllerRouterHandler, Guard

from pipeline.web.http.problems import Problem, answer

COOKIE = "unvarnished_session"
OPEN = {"open": True}  # opt of a route that needs no sign-in
_SCHEME = "bearer "
_PAGE = """<!doctype html>
<html lang="en"><head><meta charset="utf-8"><meta name="viewport" content="width=device-width, initial-scale=1">
<title>Sign in - Unvarnished</title></head>
<body><main><h1>Unvarnished</h1>{note}
<form method="post" action="/sign-in">
<p><label>Sign-in token <input name="token" type="password" autocomplete="off" autofocus required></label>
<button>Sign in</button></p></form>
<p>It was printed when Unvarnished started.</p></main></body></html>
"""


class NotSignedIn(Problem):
    """A browser is shown where to sign in, a program is told how."""

    def __init__(self) -> None:
        super().__init__(
            401,
            "sign in with the link printed at start, or send the token: Authorization: Bearer TOKEN",
            headers={"WWW-Authenticate": 'Bearer realm="unvarnished internal"'},
        )


def guard(token: str) -> Guard:
    """Lets through who holds the token or the cookie it was exchanged for."""
    session = _session(token)

    def _check(connection: ASGIConnection[Any, Any, Any, Any], handler: BaseRouteHandler) -> None:
        if handler.opt.get("open"):
            return
        header = connection.headers.get("authorization", "")
        if header[: len(_SCHEME)].lower() == _SCHEME and _same(header[len(_SCHEME) :].strip(), token):
            return
        if not _same(connection.cookies.get(COOKIE, ""), session):
            raise NotSignedIn
        if connection.scope.get("method") not in ("GET", "HEAD"):
            _check_origin(connection)

    return _check


def show_way_in(request: Request[Any, Any, Any], error: NotSignedIn) -> Response[Any]:
    """The answer to somebody who is not signed in."""
    if request.method == "GET" and "text/html" in request.headers.get("accept", ""):
        return Redirect("/sign-in", status_code=303)
    return answer(error)


def routes(token: str) -> list[ControllerRouterHandler]:
    """Signing in: by the printed link, or by pasting the token."""

    def _try(given: str) -> Response[Any]:
        if not _same(given, token):
            page = _PAGE.format(note="<p>That is not the token.</p>")
            return Response(page, status_code=401, media_type=MediaType.HTML)
        # Not Secure: this listener speaks plain HTTP on loopback, and a browser would not keep such a cookie.
        cookie = Cookie(COOKIE, value=_session(token), path="/", httponly=True, samesite="lax")
        return Redirect("/", status_code=303, cookies=[cookie])

    @get("/sign-in", opt=OPEN, include_in_schema=False, sync_to_thread=False)
    def ask(request: Request[Any, Any, Any]) -> Response[Any]:
        given = request.query_params.get("token")
        return Response(_PAGE.format(note=""), media_type=MediaType.HTML) if given is None else _try(given)

    @post("/sign-in", opt=OPEN, include_in_schema=False)
    async def take(request: Request[Any, Any, Any]) -> Response[Any]:
        _check_origin(request)
        return _try(str((await request.form()).get("token", "")))

    return [ask, take]


def _session(token: str) -> str:
    """What the cookie holds: worth nothing once the token is another one."""
    return hmac.new(token.encode(), b"session", hashlib.sha256).hexdigest()


def _same(given: str, wanted: str) -> bool:
    return hmac.compare_digest(given.encode(), wanted.encode())


def _check_origin(connection: ASGIConnection[Any, Any, Any, Any]) -> None:
    """A page of another origin may not use somebody's cookie; another port of this machine is one."""
    origin = connection.headers.get("origin")
    # Under no-referrer, which we ask for, browsers send "null" with the forms of our own pages.
    if origin == "null" and connection.headers.get("sec-fetch-site") == "same-origin":
        return
    if origin is not None and urlsplit(origin).netloc != connection.headers.get("host"):
        raise Problem(403, "this request comes from a page of another origin")
