"""Signing in: with name and password, with the start token in a form, or with the start link, which works once."""

import math
from functools import partial
from http import HTTPStatus
from typing import Any, NamedTuple

from anyio import to_thread
from litestar import Request, Response, get, post
from litestar.enums import MediaType
from litestar.response import Redirect
from litestar.types import ControllerRouterHandler
from sqlalchemy import Connection

from pipeline.domain.access.acts import ActKind
from pipeline.domain.access.links import START
from pipeline.store.db.engine import reading
from pipeline.store.users import single_use, users
from pipeline.store.users.single_use import SingleUseKind
from pipeline.store.users.users import User, folded
from pipeline.web.auth import second_factor
from pipeline.web.auth.access import Protection, protected_by
from pipeline.web.auth.auth import Auth
from pipeline.web.auth.backoff import keys_of
from pipeline.web.auth.continuing import own_path
from pipeline.web.auth.cookies import SESSION
from pipeline.web.auth.origin import check_origin
from pipeline.web.http.forms import read_form
from pipeline.web.http.rate_limit import client_address
from pipeline.web.http.templating import environment

_MAX_FIELDS = 10  # of the sign-in form
_MAX_NAME = 200  # characters
_WRONG = "Name, password or code is wrong."
_WRONG_TOKEN = "This token is not valid."  # noqa: S105
_WRONG_LINK = (
    "This link does not work. A start link works once, within an hour, and until the first admin has signed in. "
    "The command “users link” prints a new one."
)
_SIGN_IN = protected_by(Protection.SIGN_IN)
_Request = Request[Any, Any, Any]
_environment = environment("pipeline.web.auth")


class Credentials(NamedTuple):
    """What somebody signs in with. `code`: of the second factor."""

    name: str
    password: str
    code: str


def routes(auth: Auth) -> list[ControllerRouterHandler]:
    """`GET` and `POST /sign-in`, and `GET /sign-in/start` with the key of a start link."""

    @get("/sign-in", opt=_SIGN_IN, include_in_schema=False)
    async def sign_in_page(request: _Request) -> Response[Any]:
        return await page(auth, own_path(request.query_params.get("next", "")))

    @get(START, opt=_SIGN_IN, include_in_schema=False)
    async def open_start_link(request: _Request) -> Response[Any]:
        """Use the link up, and continue without its key in the address."""
        return await _by_link(auth, request, request.query_params.get("key", ""))

    @post("/sign-in", opt=_SIGN_IN, include_in_schema=False)
    async def sign_in(request: _Request) -> Response[Any]:
        check_origin(request, auth.settings)
        fields = dict(await read_form(request, _MAX_FIELDS))
        following = own_path(fields.get("next", ""))
        if "token" in fields:
            return await _by_token(auth, request, fields["token"], following)
        credentials = Credentials(
            fields.get("name", "")[:_MAX_NAME], fields.get("password", ""), fields.get("code", "")
        )
        return await _by_password(auth, request, credentials, following)

    return [sign_in_page, open_start_link, sign_in]


async def page(
    auth: Auth, following: str, problem: str = "", status: int = HTTPStatus.OK, wait: int = 0
) -> Response[Any]:
    """The sign-in page. `problem`: a sentence; `wait`: seconds until the next attempt."""
    text = _environment.get_template("sign_in.html.j2").render(
        problem=problem,
        following=following,
        with_token=await to_thread.run_sync(auth.tokens.start_token_works),
        with_provider=auth.settings.oidc_issuer is not None,
    )
    headers = {"Retry-After": str(wait)} if wait else None
    return Response(text, status_code=status, media_type=MediaType.HTML, headers=headers)


async def begin(auth: Auth, request: _Request, user_name: str | None, following: str) -> Response[Any]:
    """Begin a session of a user, and continue with the page that was wanted. None: the start token."""
    session_id = await auth.transaction(lambda connection: auth.start_session(connection, request, user_name))
    cookies = [auth.cookies.make(SESSION, session_id)]
    if user_name is not None:
        cookies.append(auth.cookies.device(folded(user_name)))
    return Redirect(following, status_code=303, cookies=cookies)


async def _by_link(auth: Auth, request: _Request, key: str) -> Response[Any]:
    works = await to_thread.run_sync(_link_works, auth, key)  # reads only, as most wrong links are not worth a write
    if works and await auth.transaction(partial(_use_link, auth, key)):
        return await begin(auth, request, None, "/")
    if await to_thread.run_sync(auth.by_session, auth.cookies.read(request, SESSION), False) is not None:
        return Redirect("/", status_code=303)  # the link that signed this browser in was opened again
    return await _refuse(auth, request, "/", _WRONG_LINK, "link")


async def _by_token(auth: Auth, request: _Request, given: str, following: str) -> Response[Any]:
    valid = auth.tokens.is_start_token(given) and await to_thread.run_sync(auth.tokens.start_token_works)
    if valid:  # 256 random bits cannot be guessed, so the rightful holder never waits
        return await begin(auth, request, None, following)
    return await _refuse(auth, request, following, _WRONG_TOKEN, "token")


async def _refuse(auth: Auth, request: _Request, following: str, problem: str, way: str) -> Response[Any]:
    """Refuse a token or a link, and count it by address."""
    keys = [("token", client_address(request))]
    wait = auth.backoff.wait(keys)
    if wait:
        return await _too_many(auth, following, wait)
    auth.backoff.count(keys)
    await auth.transaction(partial(_record_failure, auth, request, None, way))
    return await page(auth, following, problem, HTTPStatus.UNAUTHORIZED)


async def _by_password(auth: Auth, request: _Request, given: Credentials, following: str) -> Response[Any]:
    name = folded(given.name)
    keys = keys_of(client_address(request), name, auth.cookies.device_of(request, name))
    wait = auth.backoff.wait(keys)
    if wait:
        return await _too_many(auth, following, wait)
    auth.backoff.count(keys)
    user = await to_thread.run_sync(_find, auth, name)
    stored = user.password_hash if user is not None and user.state == "active" else None
    matches = await auth.passwords.matches(stored, given.password)
    if user is None or not matches or not await auth.transaction(partial(_code_matches, auth, user, given.code)):
        await auth.transaction(partial(_record_failure, auth, request, user, "password"))
        return await page(auth, following, _WRONG, HTTPStatus.UNAUTHORIZED)
    auth.backoff.undo(keys)
    if stored is not None and auth.passwords.outdated(stored):
        newer = await auth.passwords.hash(given.password)
        await auth.transaction(lambda connection: users.rehash(connection, user.name, newer))
    return await begin(auth, request, user.name, following)


def _link_works(auth: Auth, key: str) -> bool:
    """Whether a start link would sign in. Its session is that of the start token, and ends with it."""
    with reading(auth.store.engine) as connection:
        found = single_use.read(connection, SingleUseKind.START, key, auth.now())
    return found is not None and auth.tokens.start_token_works()


def _use_link(auth: Auth, key: str, connection: Connection) -> bool:
    return single_use.use(connection, SingleUseKind.START, key, auth.now()) is not None


def _find(auth: Auth, name: str) -> User | None:
    with reading(auth.store.engine) as connection:
        return users.find(connection, name)


def _code_matches(auth: Auth, user: User, code: str, connection: Connection) -> bool:
    """Whether the second factor is right, or there is none. A code is used up."""
    if user.totp is None:
        return True
    secret = auth.store.vault.open_bytes(user.totp).decode()
    step = second_factor.matching_step(secret, code, auth.now())
    return step is not None and users.use_totp_step(connection, user.name, step)


def _record_failure(auth: Auth, request: _Request, user: User | None, way: str, connection: Connection) -> None:
    """A name that is no user's is not recorded: it may be a password in the wrong field."""
    subject = "" if user is None else user.name
    auth.act(connection, request, "", ActKind.SIGN_IN_FAILED, subject, {"by": way})


async def _too_many(auth: Auth, following: str, wait: int) -> Response[Any]:
    minutes = math.ceil(wait / 60)
    delay = f"{wait} seconds" if wait < 120 else f"{minutes} minutes"
    problem = f"Too many failed attempts. Try again in {delay}."
    return await page(auth, following, problem, HTTPStatus.TOO_MANY_REQUESTS, wait)
