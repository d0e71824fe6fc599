"""API keys of the systems that send events. Stored are a name and a digest; the key itself is shown once."""

import secrets
from datetime import datetime
from hashlib import sha256
from typing import NamedTuple

from sqlalchemy import Connection, select
from sqlalchemy.exc import IntegrityError

from pipeline.settings import ConfigurationError
from pipeline.store.schema.people import api_keys

_PREFIX = "unv_"  # lets secret scanners recognise a key


class ApiKey(NamedTuple):
    """A key as it is stored."""

    name: str
    digest: str
    history: bool
    created_at: datetime
    revoked_at: datetime | None


def digest_of(key: str) -> str:
    """The stored digest of a key. A plain hash suffices, because a key has 256 random bits."""
    return sha256(key.encode()).hexdigest()


def create(connection: Connection, name: str, history: bool, now: datetime) -> str:
    """Make a key and return it: only its hash is stored.

    Raises ConfigurationError if the name exists already, revoked keys included.
    """
    if not 1 <= len(name) <= 100 or not name.isprintable():
        raise ConfigurationError("a key's name has 1 to 100 printable characters")
    key = _PREFIX + secrets.token_urlsafe(32)
    row = {"name": name, "digest": digest_of(key), "history": history, "created_at": now, "revoked_at": None}
    try:
        connection.execute(api_keys.insert(), row)
    except IntegrityError:
        raise ConfigurationError(f"there is, or was, a key named {name!r}: choose another name") from None
    return key


def renew(connection: Connection, name: str, now: datetime) -> str:
    """Replace the key of that name and return the new one: for a holder that does not keep its key."""
    connection.execute(api_keys.delete().where(api_keys.c.name == name))
    return create(connection, name, False, now)


def revoke(connection: Connection, name: str, now: datetime) -> None:
    """Revoke a key. Raises ConfigurationError if no valid key has that name."""
    statement = api_keys.update().where(api_keys.c.name == name, api_keys.c.revoked_at.is_(None))
    if connection.execute(statement.values(revoked_at=now)).rowcount == 0:
        raise ConfigurationError(f"no valid key is named {name!r}")


def all_keys(connection: Connection) -> list[ApiKey]:
    """Every key, revoked ones included, oldest first."""
    query = select(api_keys).order_by(api_keys.c.created_at, api_keys.c.name)
    return [ApiKey(*row) for row in connection.execute(query)]


def valid_keys(connection: Connection) -> list[ApiKey]:
    """The keys that are not revoked."""
    return [key for key in all_keys(connection) if key.revoked_at is None]
