"""Advisory locks by name, held until the transaction ends: several workers share a PostgreSQL database.

A transaction that needs several kinds acquires them in one order, or two could deadlock: erasure (shared by all that
seal), levels, tracking numbers, orders, accounts, addresses, segments, freezing, incidents, and last opt-outs. Names of
one kind are sorted here.
"""

from collections.abc import Collection
from hashlib import blake2b
from typing import Literal

from sqlalchemy import Connection, text

Kind = Literal[
    "tracking",
    "order",
    "account",
    "address",
    "segment",
    "freezing",
    "incident",
    "opt_out",
    "form",
    "levels",
    "erasure",
    "receiver",
]

# A function scan returns the items of an array in their order.
_TRY_LOCK = text("SELECT key, pg_try_advisory_xact_lock(key) FROM unnest(CAST(:keys AS bigint[])) AS key")
_SHARE = text("SELECT pg_advisory_xact_lock_shared(:key)")
_LOCK = text("SELECT count(pg_advisory_xact_lock(key)) FROM unnest(CAST(:keys AS bigint[])) AS key")


def lock(connection: Connection, kind: Kind, names: Collection[str]) -> None:
    """Wait for these locks and acquire them, in one statement. No effect on SQLite, which has one writer at a time."""
    if names and connection.dialect.name == "postgresql":
        connection.execute(_LOCK, {"keys": sorted({_key(kind, name) for name in names})})


def lock_shared(connection: Connection, kind: Kind, name: str) -> None:
    """Wait for a lock and share it with other sharers: only `lock` of the same name excludes them. None on SQLite."""
    if connection.dialect.name == "postgresql":
        connection.execute(_SHARE, {"key": _key(kind, name)})


def try_lock(connection: Connection, kind: Kind, names: Collection[str]) -> frozenset[str]:
    """Take those of these locks that are free, without waiting. Returns their names. On SQLite all are free."""
    if not names or connection.dialect.name != "postgresql":
        return frozenset(names)
    keys = {name: _key(kind, name) for name in names}
    rows = connection.execute(_TRY_LOCK, {"keys": sorted(set(keys.values()))})
    taken = {key for key, is_taken in rows if is_taken}
    return frozenset(name for name, key in keys.items() if key in taken)


def lock_levels(connection: Connection, alone: bool = False) -> None:
    """Lock the levels until the transaction ends: together with other readers, or `alone` to change them.

    The first lock of a transaction. No effect on SQLite, which has one writer at a time.
    """
    if alone:
        lock(connection, "levels", [""])
    else:
        lock_shared(connection, "levels", "")


def lock_freezing(connection: Connection) -> None:
    """Become the only transaction that freezes figures of the fleet: baselines, spreads, factors.

    Which of them a batch finds missing, and in what order, depends on its events. Two batches that froze the same ones
    in opposite orders would wait for each other. Read again afterwards whether another transaction froze the figure.
    No effect on SQLite.
    """
    lock(connection, "freezing", [""])


def _key(kind: Kind, name: str) -> int:
    """64 bits, signed. Two names with the same key only wait for each other."""
    return int.from_bytes(blake2b(f"{kind}\0{name}".encode(), digest_size=8).digest(), signed=True)
