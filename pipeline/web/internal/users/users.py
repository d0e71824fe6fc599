"""The page of users: who may sign in, in which role and scope; invitations, changes, disabling."""

from collections.abc import Callable, Mapping
from functools import partial
from http import HTTPStatus
from typing import Any

from anyio import to_thread
from litestar import Request, Response, get, post
from litestar.types import ControllerRouterHandler
from sqlalchemy import Connection

from pipeline.domain.access.acts import ActKind
from pipeline.domain.access.permissions import Permission, Role
from pipeline.domain.access.scopes import Scope, parse_scope
from pipeline.store.db.engine import reading
from pipeline.store.users import users
from pipeline.store.users.users import User, UserProblem
from pipeline.web.auth.access import needs, principal_of
from pipeline.web.auth.auth import Auth
from pipeline.web.auth.guard import csrf_of
from pipeline.web.auth.invitations import invite
from pipeline.web.auth.origin import own_url
from pipeline.web.http.forms import read_form
from pipeline.web.internal.layout import html, page_environment

_MAX_FIELDS = 10
_NEEDS = needs(Permission.USERS)
_Request = Request[Any, Any, Any]
_Fields = Mapping[str, str]
_Change = Callable[[Auth, _Request, _Fields, Connection], str]  # returns a link to hand over, or ""
_environment = page_environment("pipeline.web.internal.users")


def routes(auth: Auth) -> list[ControllerRouterHandler]:
    """`GET /users`, `POST /users` to invite, `POST /users/change` and its buttons."""

    async def _show(request: _Request, problem: str = "", link: str = "", name: str = "") -> Response[str]:
        found = await to_thread.run_sync(_all_users, auth)
        page = _environment.get_template("users.html.j2").render(
            viewer=principal_of(request),
            csrf=csrf_of(request),
            users=found,
            roles=list(Role),
            hours=auth.settings.invitation_hours,
            problem=problem,
            link=f"{own_url(request, auth.settings)}{link}" if link else "",
            name=name,
        )
        return html(page, HTTPStatus.UNPROCESSABLE_ENTITY if problem else HTTPStatus.OK)

    async def _apply(request: _Request, change: _Change, fields: _Fields) -> Response[str]:
        try:
            link = await auth.transaction(partial(change, auth, request, fields))
        except ValueError as error:  # UserProblem is one
            return await _show(request, str(error))
        return await _show(request, link=link, name=fields.get("name", ""))

    @get("/users", opt=_NEEDS, include_in_schema=False)
    async def users_page(request: _Request) -> Response[str]:
        return await _show(request)

    @post("/users", opt=_NEEDS, status_code=200, include_in_schema=False)
    async def add_user(request: _Request) -> Response[str]:
        return await _apply(request, _add, dict(await read_form(request, _MAX_FIELDS)))

    @post("/users/change", opt=_NEEDS, status_code=200, include_in_schema=False)
    async def change_user(request: _Request) -> Response[str]:
        fields = dict(await read_form(request, _MAX_FIELDS))
        return await _apply(request, _CHANGES.get(fields.get("do", ""), _save), fields)

    return [users_page, add_user, change_user]


def _all_users(auth: Auth) -> list[User]:
    with reading(auth.store.engine) as connection:
        return users.all_users(connection)


def _role_and_scope(fields: _Fields) -> tuple[Role, Scope]:
    """Raises ValueError that names the field."""
    try:
        role = Role(fields.get("role", ""))
    except ValueError:
        raise UserProblem("role", f"is one of {', '.join(Role)}") from None
    return role, parse_scope(role, fields.get("scope", "").splitlines())


def _add(auth: Auth, request: _Request, fields: _Fields, connection: Connection) -> str:
    role, scope = _role_and_scope(fields)
    user = users.add(connection, fields.get("name", ""), role, scope, auth.now())
    _record(auth, request, connection, ActKind.USER_ADDED, user)
    return invite(connection, auth, user.name)


def _save(auth: Auth, request: _Request, fields: _Fields, connection: Connection) -> str:
    role, scope = _role_and_scope(fields)
    user = users.get(connection, fields.get("name", ""))
    users.change(connection, user.name, role, scope)
    _record(auth, request, connection, ActKind.USER_CHANGED, users.get(connection, user.name))
    return ""


def _disable(auth: Auth, request: _Request, fields: _Fields, connection: Connection) -> str:
    user = users.get(connection, fields.get("name", ""))
    if user.name == principal_of(request).name:
        raise UserProblem("name", "you cannot disable yourself")
    users.disable(connection, user.name, auth.now())
    _record(auth, request, connection, ActKind.USER_DISABLED, user)
    return ""


def _enable(auth: Auth, request: _Request, fields: _Fields, connection: Connection) -> str:
    user = users.get(connection, fields.get("name", ""))
    users.enable(connection, user.name)
    _record(auth, request, connection, ActKind.USER_ENABLED, user)
    return ""


def _reset(auth: Auth, request: _Request, fields: _Fields, connection: Connection) -> str:
    user = users.get(connection, fields.get("name", ""))
    if user.identity is not None:
        raise UserProblem("name", f"{user.name!r} signs in with the identity provider and has no password here")
    users.reset(connection, user.name)
    _record(auth, request, connection, ActKind.USER_RESET, user)
    return invite(connection, auth, user.name)


_CHANGES: Mapping[str, _Change] = {"disable": _disable, "enable": _enable, "reset": _reset}


def _record(auth: Auth, request: _Request, connection: Connection, what: ActKind, user: User) -> None:
    details = {"role": user.role, "scope": ", ".join(user.scope.texts()) or "everything"}
    auth.act(connection, request, principal_of(request).name, what, user.name, details)
