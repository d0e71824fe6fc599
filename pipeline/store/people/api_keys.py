"""The keys of those who send events: a name and a digest. The key itself is shown once and kept by its holder."""

import secrets
from datetime import datetime
from hashlib import sha256
from typing import NamedTuple

from sqlalchemy import Boolean, Column, Connection, String, Table, select
from sqlalchemy.exc import IntegrityError

from pipeline.settings import Unusable
from pipeline.store.schema.tables import Utc, metadata

api_keys = Table(
    "api_keys",
    metadata,
    Column("name", String(100), primary_key=True),
    Column("digest", String(64), nullable=False, unique=True),
    Column("history", Boolean, nullable=False),  # may send events of the past, about which nobody is asked
    Column("created_at", Utc, nullable=False),
    Column("revoked_at", Utc, nullable=True),
)
_PREFIX = "unv_"  # so that scanners of repositories and logs can tell what they found


class ApiKey(NamedTuple):
    """What is kept of a key."""

    name: str
    digest: str
    history: bool
    created_at: datetime
    revoked_at: datetime | None


def digest_of(key: str) -> str:
    """What is stored of a key. It has 256 random bits, so a plain hash is enough: there is nothing to guess."""
    return sha256(key.encode()).hexdigest()


def create(connection: Connection, name: str, history: bool, now: datetime) -> str:
    """Make a key. Returns it, for the only time. Raises Unusable if the name is taken, revoked keys included."""
    if not 1 <= len(name) <= 100 or not name.isprintable():
        raise Unusable("a key's name has 1 to 100 printable characters")
    key = _PREFIX + secrets.token_urlsafe(32)
    row = {"name": name, "digest": digest_of(key), "history": history, "created_at": now, "revoked_at": None}
    try:
        connection.execute(api_keys.insert(), row)
    except IntegrityError:
        raise Unusable(f"there is, or was, a key named {name!r}: choose another name") from None
    return key


def renew(connection: Connection, name: str, now: datetime) -> str:
    """Make a key in place of the one of that name: for a holder who keeps none. Returns it, for the only time."""
    connection.execute(api_keys.delete().where(api_keys.c.name == name))
    return create(connection, name, False, now)


def revoke(connection: Connection, name: str, now: datetime) -> None:
    """End a key. Raises Unusable if there is none of that name that still works."""
    statement = api_keys.update().where(api_keys.c.name == name, api_keys.c.revoked_at.is_(None))
    if connection.execute(statement.values(revoked_at=now)).rowcount == 0:
        raise Unusable(f"no key named {name!r} works")


def listed(connection: Connection) -> list[ApiKey]:
    """Every key there is or was, oldest first."""
    query = select(api_keys).order_by(api_keys.c.created_at, api_keys.c.name)
    return [ApiKey(*row) for row in connection.execute(query)]


def working(connection: Connection) -> list[ApiKey]:
    """The keys that open the door."""
    return [key for key in listed(connection) if key.revoked_at is None]
