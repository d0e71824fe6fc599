"""Invitations: a link that works once is exchanged for a cookie, which allows to choose a password."""

from datetime import timedelta
from http import HTTPStatus
from typing import Any

from anyio import to_thread
from litestar import Request, Response, get, post
from litestar.connection import ASGIConnection
from litestar.enums import MediaType
from litestar.response import Redirect
from litestar.types import ControllerRouterHandler
from sqlalchemy import Connection

from pipeline.domain.access.acts import ActKind
from pipeline.domain.access.links import INVITATION, invitation_path
from pipeline.store.db.engine import reading
from pipeline.store.users import single_use, users
from pipeline.store.users.single_use import SingleUseKind
from pipeline.store.users.users import User
from pipeline.web.auth.access import Protection, protected_by
from pipeline.web.auth.auth import Auth
from pipeline.web.auth.cookies import WELCOME
from pipeline.web.auth.origin import check_origin
from pipeline.web.auth.passwords import MIN_LENGTH, why_unusable
from pipeline.web.auth.sign_in import begin
from pipeline.web.http.forms import read_form
from pipeline.web.http.templating import environment

_CHOOSING = timedelta(hours=1)  # to choose the password
_MAX_FIELDS = 10
_SIGN_IN = protected_by(Protection.SIGN_IN)
_Request = Request[Any, Any, Any]
_environment = environment("pipeline.web.auth")


def routes(auth: Auth) -> list[ControllerRouterHandler]:
    """`GET /invitation` with the key of a link, and `GET`, `POST /welcome`."""

    @get(INVITATION, opt=_SIGN_IN, include_in_schema=False)
    async def open_invitation(request: _Request) -> Response[Any]:
        """Use the link up, and continue without its key in the address."""
        key = request.query_params.get("key", "")
        secret = await auth.transaction(lambda connection: _exchange(auth, connection, key))
        if secret is None:
            return _page("no_invitation.html.j2", HTTPStatus.NOT_FOUND)
        cookie = auth.cookies.make(WELCOME, secret, round(_CHOOSING.total_seconds()))
        return Redirect("/welcome", status_code=303, cookies=[cookie])

    @get("/welcome", opt=_SIGN_IN, include_in_schema=False)
    async def choose_password(request: _Request) -> Response[Any]:
        user = await to_thread.run_sync(_invited, auth, request)
        return _page("no_invitation.html.j2", HTTPStatus.NOT_FOUND) if user is None else _form(user)

    @post("/welcome", opt=_SIGN_IN, include_in_schema=False)
    async def accept(request: _Request) -> Response[Any]:
        check_origin(request, auth.settings)
        fields = dict(await read_form(request, _MAX_FIELDS))
        user = await to_thread.run_sync(_invited, auth, request)
        if user is None:
            return _page("no_invitation.html.j2", HTTPStatus.NOT_FOUND)
        password = fields.get("password", "")
        problem = why_unusable(password, user.name)
        if password != fields.get("repeated", ""):
            problem = "The two passwords differ."
        if problem is not None:
            return _form(user, problem)
        hashed = await auth.passwords.hash(password)
        accepted = await auth.transaction(lambda connection: _accept(auth, request, connection, user, hashed))
        if not accepted:
            return _page("no_invitation.html.j2", HTTPStatus.NOT_FOUND)
        response = await begin(auth, request, user.name, "/")
        response.set_cookie(auth.cookies.removed(WELCOME))
        return response

    return [open_invitation, choose_password, accept]


def invite(connection: Connection, auth: Auth, name: str) -> str:
    """A new invitation of a user: the path and query of its link, which replaces earlier ones."""
    ends_at = auth.now() + timedelta(hours=auth.settings.invitation_hours)
    return invitation_path(single_use.create(connection, SingleUseKind.INVITATION, ends_at, name))


def _exchange(auth: Auth, connection: Connection, key: str) -> str | None:
    used = single_use.use(connection, SingleUseKind.INVITATION, key, auth.now())
    if used is None:
        return None
    return single_use.create(connection, SingleUseKind.WELCOME, auth.now() + _CHOOSING, used.user_name)


def _invited(auth: Auth, request: ASGIConnection[Any, Any, Any, Any]) -> User | None:
    """Whose invitation the browser has exchanged."""
    with reading(auth.store.engine) as connection:
        found = single_use.read(connection, SingleUseKind.WELCOME, auth.cookies.read(request, WELCOME), auth.now())
        user = None if found is None or found.user_name is None else users.find(connection, found.user_name)
    return None if user is None or user.state == "disabled" else user


def _accept(auth: Auth, request: _Request, connection: Connection, user: User, hashed: str) -> bool:
    secret = auth.cookies.read(request, WELCOME)
    if single_use.use(connection, SingleUseKind.WELCOME, secret, auth.now()) is None:
        return False
    users.set_password(connection, user.name, hashed, auth.now())
    auth.act(connection, request, user.name, ActKind.PASSWORD_CHANGED, user.name, {"by": "invitation"})
    return True


def _form(user: User, problem: str = "") -> Response[Any]:
    status = HTTPStatus.UNPROCESSABLE_ENTITY if problem else HTTPStatus.OK
    return _page("welcome.html.j2", status, name=user.name, problem=problem, minimum=MIN_LENGTH)


def _page(template: str, status: HTTPStatus, **values: object) -> Response[Any]:
    page = _environment.get_template(template).render(values)
    return Response(page, status_code=status, media_type=MediaType.HTML)
