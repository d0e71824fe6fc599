"""Connections to the database: SQLite, or PostgreSQL for one process or for several."""

import sqlite3
from collections.abc import Iterator
from contextlib import contextmanager
from functools import partial
from pathlib import Path
from typing import Any

from sqlalchemy import URL, Connection, Engine, create_engine, event, make_url
from sqlalchemy.exc import OperationalError

from pipeline.settings import ConfigurationError, data_dir_errors
from pipeline.store.db.fair_lock import FairLock

READ_ONLY = "unvarnished_read_only"
_LOCK_TIMEOUT = 30  # seconds that a writer waits for others
# Seconds that a worker may idle inside a transaction: another worker that takes over its partitions needs the locks.
_IDLE_IN_TRANSACTION = 10
# An unresponsive server is detected after half a minute. The system's own timeouts are a quarter of an hour or more.
# Parameters in the URL take precedence.
_UNRESPONSIVE = {
    "connect_timeout": 10,  # seconds
    "keepalives_idle": 15,  # seconds without a byte until the server is probed
    "keepalives_interval": 5,
    "keepalives_count": 3,
    "tcp_user_timeout": 30_000,  # milliseconds for sent data to be acknowledged
}
_HAS_LOCK = "unvarnished_turn"  # key in `Connection.info`: this connection holds the write lock
_PRAGMAS = (
    "journal_mode=WAL",
    "synchronous=FULL",  # a commit is on disk when it returns
    f"busy_timeout={_LOCK_TIMEOUT * 1_000}",  # milliseconds: for writers of other processes
    "cache_size=-65536",  # KiB
    "wal_autocheckpoint=16384",  # pages of 4 KiB; the default of 1,000 would mean a checkpoint with every batch
)


def connect(url: str, shared: bool = False) -> Engine:
    """An engine for a SQLAlchemy URL; SQLite is prepared as in `_PRAGMAS`.

    `shared`: several processes use this database. Raises ConfigurationError if it does not support that, or if SQLite's
    file cannot be created.
    """
    parsed = make_url(url)
    if shared:
        return _shared_postgresql(parsed)
    if parsed.get_backend_name() == "sqlite":
        return _sqlite(parsed)
    return _postgresql(parsed)


def _sqlite(url: URL) -> Engine:
    if url.database:
        with data_dir_errors():
            Path(url.database).parent.mkdir(parents=True, exist_ok=True)
            Path(url.database).touch(mode=0o600)  # readable by this user only
    engine = create_engine(url)
    lock = FairLock()
    event.listen(engine, "connect", _prepare_sqlite)
    event.listen(engine, "begin", partial(_begin, lock))
    event.listen(engine, "checkin", partial(_release, lock))
    return engine


def _postgresql(url: URL) -> Engine:
    timeouts = {name: value for name, value in _UNRESPONSIVE.items() if name not in url.query}
    return create_engine(url, pool_pre_ping=True, connect_args=timeouts)


def _shared_postgresql(url: URL) -> Engine:
    if url.get_backend_name() != "postgresql":
        raise ConfigurationError(
            "several processes on one database need PostgreSQL: name one in UNVARNISHED_DATABASE_URL"
        )
    engine = _postgresql(url)
    event.listen(engine, "connect", _limit_idle_time)
    return engine


def _limit_idle_time(connection: Any, _record: Any) -> None:
    with connection.cursor() as cursor:
        cursor.execute(f"SET idle_in_transaction_session_timeout = '{_IDLE_IN_TRANSACTION}s'")
    connection.commit()


def _prepare_sqlite(connection: sqlite3.Connection, _record: Any) -> None:
    connection.isolation_level = None  # transactions begin in `_begin`
    cursor = connection.cursor()
    for pragma in _PRAGMAS:
        cursor.execute(f"PRAGMA {pragma}")
    cursor.close()


def _begin(lock: FairLock, connection: Connection) -> None:
    """Begin a transaction. A writing one acquires the write lock at once: SQLite cannot always upgrade a reader later.

    Raises OperationalError if it does not get the lock in time.
    """
    if connection.get_execution_options().get(READ_ONLY, False):
        connection.exec_driver_sql("BEGIN")
        return
    if _HAS_LOCK not in connection.info:
        if not lock.acquire(_LOCK_TIMEOUT):
            raise OperationalError("BEGIN IMMEDIATE", None, sqlite3.OperationalError("database is locked"))
        connection.info[_HAS_LOCK] = True
    connection.exec_driver_sql("BEGIN IMMEDIATE")


def _release(lock: FairLock, _connection: sqlite3.Connection | None, record: Any) -> None:
    """Release the write lock when its connection returns to the pool, however its transaction ended."""
    if record.info.pop(_HAS_LOCK, None) is not None:
        lock.release()


@contextmanager
def reading(engine: Engine) -> Iterator[Connection]:
    """A connection for a consistent read, which never waits for a writer."""
    with engine.connect().execution_options(**{READ_ONLY: True}) as connection:
        yield connection
