"""API tokens of users: each has a label, a role, a scope and an end, and never opens more than its user may."""

from datetime import datetime
from typing import Any, NamedTuple

from sqlalchemy import Connection, Row, select
from sqlalchemy.exc import IntegrityError

from pipeline.domain.access.permissions import ROLES, Role
from pipeline.domain.access.principal import Principal
from pipeline.domain.access.scopes import Scope
from pipeline.store.schema.users import user_tokens
from pipeline.store.users import users
from pipeline.store.users.secrets import TOKEN_PREFIX, digest_of, new_secret
from pipeline.store.users.users import User, UserProblem, decode_scope, encode_scope

_MAX_LABEL = 100


class UserToken(NamedTuple):
    """A token as it is stored."""

    user_name: str
    label: str
    role: Role
    scope: Scope
    created_at: datetime
    ends_at: datetime
    revoked_at: datetime | None


class NewToken(NamedTuple):
    """What a token is to be."""

    label: str
    role: Role
    scope: Scope
    ends_at: datetime


def create(connection: Connection, user: User, wanted: NewToken, now: datetime) -> str:
    """Create a token of a user and return it: only its digest is stored. Raises UserProblem."""
    label = wanted.label.strip()
    if not 1 <= len(label) <= _MAX_LABEL or not label.isprintable():
        raise UserProblem("label", f"has 1 to {_MAX_LABEL} printable characters")
    if wanted.ends_at <= now:
        raise UserProblem("end", "is in the past")
    if not ROLES[wanted.role].permissions <= ROLES[user.role].permissions or not user.scope.covers(wanted.scope):
        raise UserProblem("role", f"the token would open more than {user.name!r} may, who is {user.role}")
    token = new_secret(TOKEN_PREFIX)
    row = {
        "digest": digest_of(token),
        "user_name": user.name,
        "label": label,
        "role": wanted.role,
        "scope": encode_scope(wanted.scope),
        "created_at": now,
        "ends_at": wanted.ends_at,
    }
    try:
        with connection.begin_nested():
            connection.execute(user_tokens.insert(), row)
    except IntegrityError:
        raise UserProblem("label", f"{user.name!r} has, or had, a token labelled {label!r}") from None
    return token


def principal_of(connection: Connection, token: str, now: datetime) -> Principal | None:
    """Who acts with that token, as far as token and user allow now; None if it does not work."""
    if not token.startswith(TOKEN_PREFIX):
        return None
    row = connection.execute(select(user_tokens).where(user_tokens.c.digest == digest_of(token))).one_or_none()
    if row is None or row.revoked_at is not None or row.ends_at <= now:
        return None
    user = users.find(connection, row.user_name)
    if user is None or user.state != "active":
        return None
    return user.principal.narrowed(Role(row.role), decode_scope(row.scope))


def revoke(connection: Connection, user_name: str, label: str, now: datetime) -> None:
    """Revoke a token. Raises UserProblem if there is none with that label that works."""
    working = user_tokens.c.user_name == user_name, user_tokens.c.label == label, user_tokens.c.revoked_at.is_(None)
    if connection.execute(user_tokens.update().where(*working).values(revoked_at=now)).rowcount == 0:
        raise UserProblem("label", f"{user_name!r} has no token labelled {label[:_MAX_LABEL]!r} that works")


def tokens_of(connection: Connection, user_name: str) -> list[UserToken]:
    """The tokens of a user, revoked ones included, oldest first."""
    query = select(user_tokens).where(user_tokens.c.user_name == user_name)
    return [_token(row) for row in connection.execute(query.order_by(user_tokens.c.created_at, user_tokens.c.label))]


def _token(row: Row[Any]) -> UserToken:
    return UserToken(
        row.user_name,
        row.label,
        Role(row.role),
        decode_scope(row.scope),
        row.created_at,
        row.ends_at,
        row.revoked_at,
    )
