"""Signing in with the identity provider: to it and back, its groups mapped to roles."""

from datetime import timedelta
from functools import partial
from http import HTTPStatus
from typing import Any

import msgspec
from anyio import to_thread
from litestar import Request, Response, get
from litestar.response import Redirect
from litestar.types import ControllerRouterHandler
from sqlalchemy import Connection

from pipeline.domain.access.acts import ActKind
from pipeline.settings.access import GroupRole
from pipeline.store.users import single_use, users
from pipeline.store.users.secrets import new_secret
from pipeline.store.users.single_use import SingleUseKind
from pipeline.store.users.users import Identity, User, UserProblem
from pipeline.web.auth import sign_in
from pipeline.web.auth.access import Protection, protected_by
from pipeline.web.auth.auth import Auth
from pipeline.web.auth.continuing import own_path
from pipeline.web.auth.cookies import PROVIDER
from pipeline.web.auth.origin import own_url
from pipeline.web.auth.provider import Provider, ProviderError, Returned, Statement

PATH = "/sign-in/provider"
RETURN_PATH = f"{PATH}/return"
_UNDERWAY = timedelta(minutes=10)  # how long a sign-in at the provider may take
_REFUSED = "Signing in with your company account did not work. Try again."
_NO_ROLE = "Your company account has no role here. Ask your admin."
_SIGN_IN = protected_by(Protection.SIGN_IN)
_Request = Request[Any, Any, Any]


class _Kept(msgspec.Struct):
    """What is kept while somebody is at the provider."""

    nonce: str
    verifier: str
    following: str


def routes(auth: Auth, provider: Provider | None = None) -> list[ControllerRouterHandler]:
    """`GET /sign-in/provider` and `GET /sign-in/provider/return`; none without a configured provider."""
    if auth.settings.oidc_issuer is None:
        return []
    known = provider or Provider(auth.settings)

    @get(PATH, opt=_SIGN_IN, include_in_schema=False)
    async def leave(request: _Request) -> Response[Any]:
        """Send the browser to the provider."""
        following = own_path(request.query_params.get("next", ""))
        try:
            state, url = await to_thread.run_sync(_begin, auth, known, _redirect_uri(auth, request), following)
        except ProviderError as error:
            return await _refuse(auth, request, error.reason, following)
        cookie = auth.cookies.make(PROVIDER, state, round(_UNDERWAY.total_seconds()))
        return Redirect(url, status_code=303, cookies=[cookie])

    @get(RETURN_PATH, opt=_SIGN_IN, include_in_schema=False)
    async def come_back(request: _Request) -> Response[Any]:
        """Check what the browser brings back, and begin a session."""
        state = request.query_params.get("state", "")
        kept = None
        if state and auth.cookies.read(request, PROVIDER) == state:  # this browser began it
            kept = await auth.transaction(partial(_use, auth, state))
        if kept is None:
            return await _refuse(auth, request, "not begun by this browser", "/")
        returned = Returned(
            request.query_params.get("code", ""), kept.nonce, kept.verifier, _redirect_uri(auth, request)
        )
        try:
            if not returned.code:
                raise ProviderError("refused at the provider")
            stated = await to_thread.run_sync(known.finish, returned, auth.now())
        except ProviderError as error:
            return await _refuse(auth, request, error.reason, kept.following)
        user = await auth.transaction(partial(_admit, auth, request, stated))
        if user is None:
            return await _no_role(auth, kept.following)
        return await sign_in.begin(auth, request, user.name, kept.following)

    return [leave, come_back]


def _redirect_uri(auth: Auth, request: _Request) -> str:
    return own_url(request, auth.settings) + RETURN_PATH


def _begin(auth: Auth, provider: Provider, redirect_uri: str, following: str) -> tuple[str, str]:
    """The state and the URL of a sign-in. The provider is asked first: nothing is kept if it is not there."""
    state = new_secret()
    flow = provider.begin(redirect_uri, state)
    kept = msgspec.json.encode(_Kept(flow.nonce, flow.verifier, following)).decode()
    with auth.store.engine.begin() as connection:
        single_use.keep(connection, SingleUseKind.OIDC, state, auth.now() + _UNDERWAY, payload=kept)
    return state, flow.url


def _use(auth: Auth, state: str, connection: Connection) -> _Kept | None:
    """What was kept; it works once."""
    used = single_use.use(connection, SingleUseKind.OIDC, state, auth.now())
    return None if used is None else msgspec.json.decode(used.payload, type=_Kept)


def _admit(auth: Auth, request: _Request, stated: Statement, connection: Connection) -> User | None:
    """The user that the provider vouches for, with the role and scope of their groups; None if they may not sign in."""
    identity = Identity(stated.issuer, stated.subject)
    known, role = users.find_identity(connection, identity), _role_of(auth, stated)
    if role is None or (known is not None and known.disabled_at is not None):
        reason = "no group with a role" if role is None else "disabled"
        subject = "" if known is None else known.name
        if known is not None:
            users.withdraw(connection, known.name, auth.now())
        auth.act(connection, request, "", ActKind.SIGN_IN_FAILED, subject, {"by": "provider", "because": reason})
        return None
    if known is None:
        return _add(auth, request, stated, role, connection)
    if (known.role, known.scope) != (role.role, role.scope):
        users.change(connection, known.name, role.role, role.scope)
        details = {"role": role.role, "scope": ", ".join(role.scope.texts()) or "everything", "by": "provider"}
        auth.act(connection, request, known.name, ActKind.USER_CHANGED, known.name, details)
    return known


def _role_of(auth: Auth, stated: Statement) -> GroupRole | None:
    """The role of the first group in the settings that the user belongs to."""
    return next((role for group, role in auth.settings.group_roles.items() if group in stated.groups), None)


def _add(auth: Auth, request: _Request, stated: Statement, role: GroupRole, connection: Connection) -> User:
    """A new user. Names are for display: one that is taken, perhaps by a local account, gets a number."""
    identity = Identity(stated.issuer, stated.subject)
    for name in _names(stated):
        try:
            user = users.add(connection, name, role.role, role.scope, auth.now(), identity)
        except UserProblem:
            continue
        auth.act(connection, request, user.name, ActKind.USER_ADDED, user.name, {"role": role.role, "by": "provider"})
        return user
    raise LookupError("no name is free")


def _names(stated: Statement) -> list[str]:
    preferred = [name.strip()[:90] for name in stated.names if name.strip()[:90].isprintable()]
    first = preferred[0] if preferred else "user"
    return [*preferred, *(f"{first} {number}" for number in range(2, 1_000))]


async def _refuse(auth: Auth, request: _Request, reason: str, following: str) -> Response[Any]:
    await auth.transaction(
        lambda connection: auth.act(
            connection, request, "", ActKind.SIGN_IN_FAILED, "", {"by": "provider", "because": reason}
        )
    )
    response = await sign_in.page(auth, following, _REFUSED, HTTPStatus.UNAUTHORIZED)
    response.set_cookie(auth.cookies.removed(PROVIDER))
    return response


async def _no_role(auth: Auth, following: str) -> Response[Any]:
    response = await sign_in.page(auth, following, _NO_ROLE, HTTPStatus.FORBIDDEN)
    response.set_cookie(auth.cookies.removed(PROVIDER))
    return response
