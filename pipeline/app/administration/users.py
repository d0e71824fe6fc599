"""What commands do about users, each recorded as an act of the principal `local`."""

from collections.abc import Mapping, Sequence
from datetime import timedelta
from typing import NamedTuple

from sqlalchemy import Connection, Engine

from pipeline.app.installation import now
from pipeline.domain.access.acts import Act, ActKind
from pipeline.domain.access.links import START_LINK_LASTS, invitation_path, start_path
from pipeline.domain.access.permissions import Role
from pipeline.domain.access.principal import LOCAL
from pipeline.domain.access.scopes import Scope, parse_scope
from pipeline.settings import Settings
from pipeline.store.acts import acts
from pipeline.store.users import single_use, tokens, users
from pipeline.store.users.single_use import SingleUseKind
from pipeline.store.users.tokens import NewToken
from pipeline.store.users.users import User, UserProblem

_ORIGIN = "command line"


class TokenWish(NamedTuple):
    """What an API token is to be; `role` and `scope` None: as the user's."""

    label: str
    role: str | None
    scope: Sequence[str] | None
    lasting: timedelta


def record(connection: Connection, what: ActKind, subject: str = "", details: Mapping[str, str] | None = None) -> None:
    """Append an act of a command."""
    acts.append(connection, Act(now(), LOCAL.name, what, subject, _ORIGIN, details or {}))


def add(engine: Engine, settings: Settings, name: str, role: str, scope: Sequence[str]) -> str:
    """Add a user. Returns the link of the invitation. Raises UserProblem."""
    with engine.begin() as connection:
        user = users.add(connection, name, *_role_and_scope(role, scope), now())
        record(connection, ActKind.USER_ADDED, user.name, _details(user))
        return _invitation(connection, settings, user.name)


def change(engine: Engine, name: str, role: str, scope: Sequence[str]) -> None:
    """Give a user another role and scope. Raises UserProblem."""
    with engine.begin() as connection:
        user = users.get(connection, name)
        users.change(connection, user.name, *_role_and_scope(role, scope))
        record(connection, ActKind.USER_CHANGED, user.name, _details(users.get(connection, user.name)))


def disable(engine: Engine, name: str) -> None:
    """Disable a user. Raises UserProblem."""
    with engine.begin() as connection:
        user = users.get(connection, name)
        users.disable(connection, user.name, now())
        record(connection, ActKind.USER_DISABLED, user.name)


def enable(engine: Engine, name: str) -> None:
    """Enable a user. Raises UserProblem."""
    with engine.begin() as connection:
        user = users.get(connection, name)
        users.enable(connection, user.name)
        record(connection, ActKind.USER_ENABLED, user.name)


def reset(engine: Engine, settings: Settings, name: str) -> str:
    """Remove a user's password and second factor. Returns the link of a new invitation. Raises UserProblem."""
    with engine.begin() as connection:
        user = users.get(connection, name)
        if user.identity is not None:
            raise UserProblem("name", f"{user.name!r} signs in with the identity provider and has no password here")
        users.reset(connection, user.name)
        record(connection, ActKind.USER_RESET, user.name)
        return _invitation(connection, settings, user.name)


def create_token(engine: Engine, name: str, wish: TokenWish) -> str:
    """Create an API token of a user and return it. Raises UserProblem."""
    with engine.begin() as connection:
        user = users.get(connection, name)
        role = user.role if wish.role is None else _role(wish.role)
        scope = user.scope if wish.scope is None else _scope(role, wish.scope)
        token = tokens.create(connection, user, NewToken(wish.label, role, scope, now() + wish.lasting), now())
        record(connection, ActKind.TOKEN_CREATED, user.name, {"label": wish.label.strip(), "role": role})
        return token


def revoke_token(engine: Engine, name: str, label: str) -> None:
    """Revoke an API token of a user. Raises UserProblem."""
    with engine.begin() as connection:
        user = users.get(connection, name)
        tokens.revoke(connection, user.name, label, now())
        record(connection, ActKind.TOKEN_REVOKED, user.name, {"label": label})


def start_link(engine: Engine, settings: Settings) -> str:
    """A new start link. Raises UserProblem if the start token has ended."""
    with engine.begin() as connection:
        if not start_token_works(connection, settings):
            raise UserProblem(
                "link",
                "an admin has signed in, which ended the start token; `unvarnished users reset NAME` prints a link",
            )
        return _home(settings) + new_start_path(connection)


def start_token_works(connection: Connection, settings: Settings) -> bool:
    """Whether the start token opens anything: a configured one always, a generated one until the first admin."""
    return settings.sign_in_token is not None or not users.admin_exists(connection)


def new_start_path(connection: Connection) -> str:
    """Path and query of a new start link. Earlier ones go on working until they end or are used."""
    return start_path(single_use.create(connection, SingleUseKind.START, now() + START_LINK_LASTS))


def _invitation(connection: Connection, settings: Settings, name: str) -> str:
    ends_at = now() + timedelta(hours=settings.invitation_hours)
    key = single_use.create(connection, SingleUseKind.INVITATION, ends_at, name)
    return _home(settings) + invitation_path(key)


def _home(settings: Settings) -> str:
    return settings.internal_url or f"http://127.0.0.1:{settings.internal_port}"


def _role_and_scope(role: str, scope: Sequence[str]) -> tuple[Role, Scope]:
    found = _role(role)
    return found, _scope(found, scope)


def _role(name: str) -> Role:
    try:
        return Role(name)
    except ValueError:
        raise UserProblem("--role", f"{name!r} is not one of {', '.join(Role)}") from None


def _scope(role: Role, entries: Sequence[str]) -> Scope:
    try:
        return parse_scope(role, entries)
    except ValueError as error:
        raise UserProblem("--scope", str(error).removeprefix("scope: ")) from None


def _details(user: User) -> dict[str, str]:
    return {"role": user.role, "scope": ", ".join(user.scope.texts()) or "everything"}
