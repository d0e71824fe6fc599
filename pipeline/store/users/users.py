"""Accounts of users: local ones with a password, and those of an OpenID Connect provider."""

from collections.abc import Mapping
from datetime import datetime
from typing import Any, NamedTuple

import msgspec
from sqlalchemy import Connection, Row, select
from sqlalchemy.exc import IntegrityError

from pipeline.domain.access.permissions import Role
from pipeline.domain.access.principal import RESERVED_NAMES, Principal, user_principal
from pipeline.domain.access.scopes import EVERYTHING, Entry, Scope
from pipeline.errors import UserError
from pipeline.store.schema.users import single_use, user_tokens, users
from pipeline.store.users import sessions

_MAX_NAME = 100


class UserProblem(UserError, ValueError):
    """Something about a user that cannot be done. `field` names the argument."""

    def __init__(self, field: str, message: str) -> None:
        super().__init__(f"{field}: {message}")
        self.field = field


class Identity(NamedTuple):
    """Who somebody is for an OpenID Connect provider."""

    issuer: str
    subject: str


class User(NamedTuple):
    """A user as stored. `totp` is sealed; `identity` None: a local account."""

    name: str
    role: Role
    scope: Scope
    password_hash: str | None
    totp: bytes | None
    totp_step: int | None
    identity: Identity | None
    created_at: datetime
    accepted_at: datetime | None
    disabled_at: datetime | None

    @property
    def principal(self) -> Principal:
        """The user as one who acts."""
        return user_principal(self.name, self.role, self.scope)

    @property
    def state(self) -> str:
        """ "active", "invited" or "disabled"."""
        if self.disabled_at is not None:
            return "disabled"
        return "invited" if self.accepted_at is None else "active"


def folded(name: str) -> str:
    """What a name is looked up by: names that differ only by case are one name."""
    return name.strip().casefold()


def check_name(name: str) -> str:
    """The name of a new user, trimmed. Raises UserProblem."""
    trimmed = name.strip()
    if not 1 <= len(trimmed) <= _MAX_NAME or not trimmed.isprintable():
        raise UserProblem("name", f"has 1 to {_MAX_NAME} printable characters")
    if folded(trimmed) in map(folded, RESERVED_NAMES):
        raise UserProblem("name", f"{trimmed!r} is reserved")
    return trimmed


def add(
    connection: Connection, name: str, role: Role, scope: Scope, now: datetime, identity: Identity | None = None
) -> User:
    """Add a user, invited; one with an identity is accepted at once. Raises UserProblem if the name is taken."""
    trimmed = check_name(name)
    row = {
        "name": trimmed,
        "folded": folded(trimmed),
        "role": role,
        "scope": encode_scope(scope),
        "issuer": identity and identity.issuer,
        "subject": identity and identity.subject,
        "created_at": now,
        "accepted_at": None if identity is None else now,
    }
    try:
        with connection.begin_nested():
            connection.execute(users.insert(), row)
    except IntegrityError:
        raise UserProblem("name", f"there is a user named {trimmed!r} already") from None
    return get(connection, trimmed)


def find(connection: Connection, name: str) -> User | None:
    """The user of that name in any case; None if there is none."""
    return _one(connection, {"folded": folded(name)})


def get(connection: Connection, name: str) -> User:
    """The user of that name. Raises UserProblem if there is none."""
    found = find(connection, name)
    if found is None:
        raise UserProblem("name", f"there is no user named {name[:_MAX_NAME]!r}")
    return found


def find_identity(connection: Connection, identity: Identity) -> User | None:
    """The user with that identity; None if they never signed in."""
    return _one(connection, identity._asdict())


def all_users(connection: Connection) -> list[User]:
    """Every user, disabled ones included, by name."""
    return [_user(row) for row in connection.execute(select(users).order_by(users.c.folded))]


def enabled_principals(connection: Connection) -> list[Principal]:
    """Every user who can sign in, as principals: for the rule of two people."""
    return [user.principal for user in all_users(connection) if user.state == "active"]


def admin_exists(connection: Connection) -> bool:
    """Whether an admin ever signed in. A disabled one counts: disabling an admin must not bring the token back."""
    query = select(users.c.name).where(users.c.role == Role.ADMIN, users.c.accepted_at.is_not(None)).limit(1)
    return connection.execute(query).first() is not None


def change(connection: Connection, name: str, role: Role, scope: Scope) -> None:
    """Give a user another role and scope, which count from their next request on."""
    _update(connection, name, role=role, scope=encode_scope(scope))


def disable(connection: Connection, name: str, now: datetime) -> None:
    """Disable a user: sessions end, API tokens and links stop working."""
    _update(connection, name, disabled_at=now)
    sessions.end_of(connection, name)
    connection.execute(single_use.delete().where(single_use.c.user_name == name))


def enable(connection: Connection, name: str) -> None:
    """Enable a disabled user."""
    _update(connection, name, disabled_at=None)


def withdraw(connection: Connection, name: str, now: datetime) -> None:
    """End all sessions of a user and revoke their API tokens: the identity provider gives them no role any more."""
    sessions.end_of(connection, name)
    working = user_tokens.c.user_name == name, user_tokens.c.revoked_at.is_(None)
    connection.execute(user_tokens.update().where(*working).values(revoked_at=now))


def reset(connection: Connection, name: str) -> None:
    """Remove password and second factor, and end all sessions. An invitation has to follow."""
    _update(connection, name, password_hash=None, totp=None, totp_step=None)
    sessions.end_of(connection, name)
    connection.execute(single_use.delete().where(single_use.c.user_name == name))


def set_password(connection: Connection, name: str, password_hash: str, now: datetime) -> None:
    """Store a password, which also accepts an invitation. All sessions end."""
    accepted = users.update().where(users.c.name == name, users.c.accepted_at.is_(None))
    connection.execute(accepted.values(accepted_at=now))
    _update(connection, name, password_hash=password_hash)
    sessions.end_of(connection, name)


def rehash(connection: Connection, name: str, password_hash: str) -> None:
    """Store the same password hashed with newer parameters."""
    _update(connection, name, password_hash=password_hash)


def set_totp(connection: Connection, name: str, sealed: bytes | None, step: int | None) -> None:
    """Store a second factor, or remove it."""
    _update(connection, name, totp=sealed, totp_step=step)


def use_totp_step(connection: Connection, name: str, step: int) -> bool:
    """Use up the code of a time step. False: it or a newer one was used already."""
    unused = (users.c.totp_step.is_(None)) | (users.c.totp_step < step)
    done = connection.execute(users.update().where(users.c.name == name, unused).values(totp_step=step))
    return done.rowcount == 1


def encode_scope(scope: Scope) -> str:
    """A scope as it is stored."""
    return msgspec.json.encode(scope.entries).decode()


def decode_scope(text: str) -> Scope:
    """A stored scope."""
    return Scope(msgspec.json.decode(text, type=tuple[Entry, ...] | None)) if text != "null" else EVERYTHING


def _update(connection: Connection, name: str, **values: object) -> None:
    connection.execute(users.update().where(users.c.name == name).values(values))


def _one(connection: Connection, where: Mapping[str, object]) -> User | None:
    row = connection.execute(select(users).filter_by(**where)).one_or_none()
    return None if row is None else _user(row)


def _user(row: Row[Any]) -> User:
    identity = None if row.issuer is None else Identity(row.issuer, row.subject)
    return User(
        row.name,
        Role(row.role),
        decode_scope(row.scope),
        row.password_hash,
        row.totp,
        row.totp_step,
        identity,
        row.created_at,
        row.accepted_at,
        row.disabled_at,
    )
