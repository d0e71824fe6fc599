"""The own account: who is signed in and what they see, the password, the second factor, and signing out."""

from collections.abc import Mapping
from functools import partial
from http import HTTPStatus
from typing import Any

from anyio import to_thread
from litestar import Request, Response, get, post
from litestar.response import Redirect
from litestar.types import ControllerRouterHandler
from sqlalchemy import Connection

from pipeline.domain.access.acts import ActKind
from pipeline.domain.access.permissions import MEANINGS, Permission
from pipeline.domain.access.principal import Principal, PrincipalKind
from pipeline.store.db.engine import reading
from pipeline.store.users import sessions, users
from pipeline.store.users.users import User
from pipeline.web.auth import second_factor
from pipeline.web.auth.access import needs, principal_of
from pipeline.web.auth.auth import Auth
from pipeline.web.auth.cookies import SESSION
from pipeline.web.auth.guard import csrf_of, session_of
from pipeline.web.auth.passwords import MIN_LENGTH, why_unusable
from pipeline.web.http.forms import read_form
from pipeline.web.http.problems import Problem
from pipeline.web.internal.layout import html, page_environment

_MAX_FIELDS = 10
_NEEDS = needs(Permission.OWN_ACCOUNT)
_Request = Request[Any, Any, Any]
_environment = page_environment("pipeline.web.internal.own_account")


def routes(auth: Auth) -> list[ControllerRouterHandler]:
    """`GET /account` and the forms on it."""

    async def _show(request: _Request, problem: str = "", done: str = "", secret: str = "") -> Response[str]:
        viewer = principal_of(request)
        user = await to_thread.run_sync(_user_of, auth, viewer)
        uri = second_factor.uri_of(secret, viewer.name) if secret else ""
        page = _environment.get_template("account.html.j2").render(
            viewer=viewer,
            user=user,
            csrf=csrf_of(request),
            meanings=[MEANINGS[permission] for permission in Permission if viewer.may(permission)],
            minimum=MIN_LENGTH,
            problem=problem,
            done=done,
            secret=secret,
            qr_code=second_factor.qr_code(uri) if uri else "",
        )
        return html(page, HTTPStatus.UNPROCESSABLE_ENTITY if problem else HTTPStatus.OK)

    @get("/account", opt=_NEEDS, include_in_schema=False)
    async def account_page(request: _Request) -> Response[str]:
        return await _show(request)

    @post("/account/password", opt=_NEEDS, status_code=200, include_in_schema=False)
    async def change_password(request: _Request) -> Response[Any]:
        user, fields = await _local_user(auth, request), dict(await read_form(request, _MAX_FIELDS))
        problem = await _check_current(auth, user, fields) or _why_refused(user, fields)
        if problem is not None:
            return await _show(request, problem)
        hashed = await auth.passwords.hash(fields["password"])
        session_id = await auth.transaction(partial(_change_password, auth, request, user, hashed))
        return Redirect("/account", status_code=303, cookies=[auth.cookies.make(SESSION, session_id)])

    @post("/account/second-factor", opt=_NEEDS, status_code=200, include_in_schema=False)
    async def second_factor_form(request: _Request) -> Response[str]:
        """Show a new secret, check its first code, or remove the second factor."""
        user, fields = await _local_user(auth, request), dict(await read_form(request, _MAX_FIELDS))
        problem = await _check_current(auth, user, fields)
        if problem is not None:
            return await _show(request, problem, secret=fields.get("secret", ""))
        if "remove" in fields:
            await auth.transaction(partial(_set_second_factor, auth, request, user, None, None))
            return await _show(request, done="The second factor is removed.")
        secret = fields.get("secret", "")
        if not secret:
            return await _show(request, secret=second_factor.new_secret())
        step = second_factor.matching_step(secret, fields.get("code", ""), auth.now())
        if step is None:
            return await _show(request, "The code is wrong. Enter the one that the app shows now.", secret=secret)
        await auth.transaction(partial(_set_second_factor, auth, request, user, secret, step))
        return await _show(request, done="From now on, signing in needs a code of the app.")

    @post("/sign-out", opt=_NEEDS, include_in_schema=False)
    async def sign_out(request: _Request) -> Response[Any]:
        everywhere = "everywhere" in dict(await read_form(request, _MAX_FIELDS))
        await auth.transaction(partial(_sign_out, auth, request, everywhere))
        return Redirect("/sign-in", status_code=303, cookies=[auth.cookies.removed(SESSION)])

    return [account_page, change_password, second_factor_form, sign_out]


async def _local_user(auth: Auth, request: _Request) -> User:
    """The user of a session with a local account. Raises Problem 403: others have no password here."""
    viewer = principal_of(request)
    user = await to_thread.run_sync(_user_of, auth, viewer)
    if user is None or user.identity is not None or session_of(request) is None:
        raise Problem(403, "this is for local accounts, signed in with a password")
    return user


def _user_of(auth: Auth, viewer: Principal) -> User | None:
    if viewer.kind not in (PrincipalKind.USER, PrincipalKind.API_TOKEN):
        return None
    with reading(auth.store.engine) as connection:
        return users.find(connection, viewer.name)


async def _check_current(auth: Auth, user: User, fields: Mapping[str, str]) -> str | None:
    """Why nothing is changed; None if the current password is right. A wrong one counts like a failed sign-in."""
    keys = [("password", user.name)]
    if auth.backoff.wait(keys):
        return "Too many failed attempts. Try again later."
    auth.backoff.count(keys)
    if not await auth.passwords.matches(user.password_hash, fields.get("current", "")):
        return "The current password is wrong."
    auth.backoff.undo(keys)
    return None


def _why_refused(user: User, fields: Mapping[str, str]) -> str | None:
    """Why the new password is refused."""
    if fields.get("password", "") != fields.get("repeated", ""):
        return "The two passwords differ."
    return why_unusable(fields.get("password", ""), user.name)


def _change_password(auth: Auth, request: _Request, user: User, hashed: str, connection: Connection) -> str:
    """All sessions end; the browser gets a new one."""
    users.set_password(connection, user.name, hashed, auth.now())
    auth.act(connection, request, user.name, ActKind.PASSWORD_CHANGED, user.name)
    return sessions.create(connection, user.name, auth.limits, auth.now())


def _set_second_factor(
    auth: Auth, request: _Request, user: User, secret: str | None, step: int | None, connection: Connection
) -> None:
    sealed = None if secret is None else auth.store.vault.seal_bytes(secret.encode())
    users.set_totp(connection, user.name, sealed, step)
    what = ActKind.SECOND_FACTOR_REMOVED if secret is None else ActKind.SECOND_FACTOR_ADDED
    auth.act(connection, request, user.name, what, user.name)


def _sign_out(auth: Auth, request: _Request, everywhere: bool, connection: Connection) -> None:
    viewer, session_id = principal_of(request), session_of(request)
    if session_id is not None:
        sessions.end(connection, session_id)
    if everywhere:
        sessions.end_of(connection, viewer.name if viewer.kind is PrincipalKind.USER else None)
    what = ActKind.SIGNED_OUT_EVERYWHERE if everywhere else ActKind.SIGNED_OUT
    auth.act(connection, request, viewer.name, what)
