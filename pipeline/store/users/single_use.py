"""Links and states that work once and end: invitations, start links, and sign-ins at the identity provider."""

from datetime import datetime
from enum import StrEnum
from typing import NamedTuple

from sqlalchemy import Connection, select

from pipeline.store.schema.users import single_use
from pipeline.store.users.secrets import digest_of, new_secret


class SingleUseKind(StrEnum):
    """What a secret is for."""

    INVITATION = "invitation"  # the link that was handed over
    START = "start"  # the link that is printed at the start
    WELCOME = "welcome"  # the cookie that the link was exchanged for
    OIDC = "oidc"  # the state of a sign-in at the identity provider


class SingleUse(NamedTuple):
    """What was stored with a secret."""

    user_name: str | None
    payload: str


def create(
    connection: Connection, kind: SingleUseKind, ends_at: datetime, user_name: str | None = None, payload: str = ""
) -> str:
    """Create a secret and return it. A newer invitation replaces the earlier ones of the same user."""
    if user_name is not None:
        earlier = single_use.c.user_name == user_name, single_use.c.kind == kind
        connection.execute(single_use.delete().where(*earlier))
    secret = new_secret()
    keep(connection, kind, secret, ends_at, user_name, payload)
    return secret


def keep(
    connection: Connection,
    kind: SingleUseKind,
    secret: str,
    ends_at: datetime,
    user_name: str | None = None,
    payload: str = "",
) -> None:
    """Store a secret of the caller's."""
    row = {
        "digest": digest_of(secret),
        "kind": kind,
        "user_name": user_name,
        "payload": payload,
        "ends_at": ends_at,
    }
    connection.execute(single_use.insert(), row)


def read(connection: Connection, kind: SingleUseKind, secret: str, now: datetime) -> SingleUse | None:
    """What was stored with the secret; None if there is none, it was used, or it has ended."""
    same = single_use.c.digest == digest_of(secret), single_use.c.kind == kind, single_use.c.ends_at > now
    row = connection.execute(select(single_use.c.user_name, single_use.c.payload).where(*same)).one_or_none()
    return None if row is None else SingleUse(*row)


def use(connection: Connection, kind: SingleUseKind, secret: str, now: datetime) -> SingleUse | None:
    """As `read`, and the secret never works again: of two that use it at the same time one gets None."""
    connection.execute(single_use.delete().where(single_use.c.ends_at <= now))
    same = single_use.c.digest == digest_of(secret), single_use.c.kind == kind
    statement = single_use.delete().where(*same).returning(single_use.c.user_name, single_use.c.payload)
    row = connection.execute(statement).one_or_none()
    return None if row is None else SingleUse(*row)
