"""Who works on what, where several workers share a database: locks by name, held until the transaction ends.

To wait for each other in a circle would be a deadlock, so whoever needs several kinds takes them in this order: orders,
accounts, segments. Names of one kind are taken in one order here.
"""

from collections.abc import Collection
from hashlib import blake2b
from typing import Literal

from sqlalchemy import Connection, text

Kind = Literal["order", "account", "segment"]

# A function scan hands out an array's items as they stand in it.
_HOLD = text("SELECT count(pg_advisory_xact_lock(key)) FROM unnest(CAST(:keys AS bigint[])) AS key")


def hold(connection: Connection, kind: Kind, names: Collection[str]) -> None:
    """Wait until these are ours alone, in one statement. PostgreSQL only."""
    if names:
        connection.execute(_HOLD, {"keys": sorted({_key(kind, name) for name in names})})


def _key(kind: Kind, name: str) -> int:
    """64 bits, signed: two names that share them would only wait for each other."""
    return int.from_bytes(blake2b(f"{kind}\0{name}".encode(), digest_size=8).digest(), signed=True)
