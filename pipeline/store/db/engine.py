"""Connections to the database: SQLite, or PostgreSQL for one process or for several."""

import os
import sqlite3
from collections.abc import Collection, Iterator
from contextlib import contextmanager, suppress
from functools import partial
from pathlib import Path
from typing import Any

from sqlalchemy import URL, Connection, Engine, ExceptionContext, create_engine, event, make_url, text
from sqlalchemy.exc import ArgumentError, OperationalError

from pipeline.settings import ConfigurationError, data_dir_errors
from pipeline.store.db.fair_lock import FairLock
from pipeline.store.db.sqlite_files import DatabaseFileLost, SqliteFiles
from pipeline.store.db.transient import is_read_only

READ_ONLY = "unvarnished_read_only"
LOCK_SECONDS = "unvarnished_lock_seconds"  # execution option: how long a writer waits for others on SQLite
_LOCK_TIMEOUT = 30  # seconds that a writer waits for others
# Seconds that a worker may idle inside a transaction: another worker that takes over its partitions needs the locks.
_IDLE_IN_TRANSACTION = 10
# An unresponsive server is detected after half a minute. The system's own timeouts are a quarter of an hour or more.
# Parameters in the URL take precedence.
_DRIVERS = ("sqlite", "sqlite+pysqlite", "postgresql+psycopg")
_URLS = "use postgresql+psycopg://USER:PASSWORD@HOST:PORT/DATABASE or sqlite:///FILE"
_OTHERS = text(
    "SELECT 1 FROM pg_stat_activity WHERE datname = current_database() AND pid <> pg_backend_pid() "
    "AND backend_type = 'client backend' LIMIT 1"
)
_UNRESPONSIVE = {
    "connect_timeout": 10,  # seconds
    "keepalives_idle": 15,  # seconds without a byte until the server is probed
    "keepalives_interval": 5,
    "keepalives_count": 3,
    "tcp_user_timeout": 30_000,  # milliseconds for sent data to be acknowledged
}
_HAS_LOCK = "unvarnished_turn"  # key in `Connection.info`: this connection holds the write lock
# Bytes that the write-ahead log keeps when it starts anew. It grows beyond while a reader stays in one transaction.
_MAX_WAL_BYTES = 64 << 20
_PRAGMAS = (
    "journal_mode=WAL",
    "synchronous=FULL",  # a commit is on disk when it returns
    f"busy_timeout={_LOCK_TIMEOUT * 1_000}",  # milliseconds: for writers of other processes
    "cache_size=-65536",  # KiB
    "wal_autocheckpoint=16384",  # pages of 4 KiB; the default of 1,000 would mean a checkpoint with every batch
    f"journal_size_limit={_MAX_WAL_BYTES}",
    "secure_delete=ON",  # what is deleted or replaced is overwritten with zeros
)


def connect(url: str, shared: bool = False) -> Engine:
    """An engine for a SQLAlchemy URL; SQLite is prepared as in `_PRAGMAS`.

    `shared`: several processes use this database. Raises ConfigurationError if it does not support that, or if SQLite's
    file cannot be created.
    """
    parsed = _parse(url)
    if shared:
        return _shared_postgresql(parsed)
    if parsed.get_backend_name() == "sqlite":
        return _sqlite(parsed)
    return _postgresql(parsed)


def _parse(url: str) -> URL:
    """Raises ConfigurationError for anything but SQLite and PostgreSQL. The message has no part of the URL: passwords
    stand in the oddest places of those that are mistyped.
    """
    try:
        parsed = make_url(url)
    except (ArgumentError, ValueError):
        raise ConfigurationError(f"UNVARNISHED_DATABASE_URL is not a URL; {_URLS}") from None
    if parsed.drivername not in _DRIVERS:
        raise ConfigurationError(f"UNVARNISHED_DATABASE_URL begins with {parsed.drivername}://; {_URLS}")
    return parsed


def _sqlite(url: URL) -> Engine:
    engine = create_engine(url)
    lock = FairLock()
    event.listen(engine, "connect", _prepare_sqlite)
    event.listen(engine, "begin", partial(_begin, lock))
    event.listen(engine, "checkin", partial(_release, lock))
    if url.database:
        with data_dir_errors():
            Path(url.database).parent.mkdir(parents=True, exist_ok=True)
            Path(url.database).touch(mode=0o600)  # readable by this user only
        _watch_files(engine, SqliteFiles(Path(url.database)))
    return engine


def _watch_files(engine: Engine, files: SqliteFiles) -> None:
    """Open and commit nothing once the files are no longer those that were opened first."""

    def _check(connection: Connection) -> None:
        try:
            files.check()
        except DatabaseFileLost as lost:
            raise OperationalError("COMMIT", None, lost) from None

    event.listen(engine, "do_connect", lambda *_: files.check())  # SQLite would create a new file
    event.listen(engine, "connect", lambda *_: files.opened())
    event.listen(engine, "close", lambda *_: files.closed())
    event.listen(engine, "commit", _check)


def _postgresql(url: URL) -> Engine:
    timeouts = {name: value for name, value in _UNRESPONSIVE.items() if name not in url.query}
    engine = create_engine(url, pool_pre_ping=True, connect_args=timeouts)
    event.listen(engine, "handle_error", _leave_standby)
    return engine


def _leave_standby(context: ExceptionContext) -> None:
    """Give up all connections to a server that has become read-only: the URL may lead to its successor by now."""
    if is_read_only(context.original_exception):
        context.is_disconnect = True


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
    cursor.execute("SELECT 1 FROM sqlite_master").fetchone()  # opens the write-ahead log
    cursor.close()


def _begin(lock: FairLock, connection: Connection) -> None:
    """Begin a transaction. A writing one acquires the write lock at once: SQLite cannot always upgrade a reader later.

    Raises OperationalError if it does not get the lock in time.
    """
    options = connection.get_execution_options()
    if options.get(READ_ONLY, False):
        connection.exec_driver_sql("BEGIN")
        return
    seconds = options.get(LOCK_SECONDS, _LOCK_TIMEOUT)
    if _HAS_LOCK not in connection.info:
        if not lock.acquire(seconds):
            raise OperationalError("BEGIN IMMEDIATE", None, _locked())
        connection.info[_HAS_LOCK] = True
    connection.exec_driver_sql(f"PRAGMA busy_timeout={seconds * 1_000:.0f}")  # milliseconds
    connection.exec_driver_sql("BEGIN IMMEDIATE")


def _locked() -> sqlite3.OperationalError:
    error = sqlite3.OperationalError("database is locked")
    error.sqlite_errorcode = sqlite3.SQLITE_BUSY
    return error


def _release(lock: FairLock, _connection: sqlite3.Connection | None, record: Any) -> None:
    """Release the write lock when its connection returns to the pool, however its transaction ended."""
    if record.info.pop(_HAS_LOCK, None) is not None:
        lock.release()


def shrink_log(engine: Engine) -> None:
    """Empty SQLite's write-ahead log if it has outgrown its limit, unless a reader still needs it."""
    if engine.dialect.name != "sqlite" or not engine.url.database:
        return
    with suppress(OSError):
        if os.stat(f"{engine.url.database}-wal").st_size > _MAX_WAL_BYTES:
            _truncate_log(engine)


def compact(engine: Engine, tables: Collection[str]) -> None:
    """Rewrite these tables without what was deleted or replaced in them; on SQLite the whole file and its log.

    PostgreSQL samples values of columns for its planner: the samples are taken anew, too. Their table is rewritten if
    this user owns the database; otherwise the server skips it with a warning.
    """
    if engine.dialect.name == "postgresql":
        with engine.connect().execution_options(isolation_level="AUTOCOMMIT") as connection:
            for table in sorted(tables):
                connection.exec_driver_sql(f"VACUUM (FULL, ANALYZE) {table}")
            connection.exec_driver_sql("VACUUM FULL pg_catalog.pg_statistic")
        return
    raw = engine.raw_connection()
    try:
        cursor = raw.cursor()
        for statement in ("PRAGMA wal_checkpoint(TRUNCATE)", "VACUUM", "PRAGMA wal_checkpoint(TRUNCATE)"):
            cursor.execute(statement).fetchall()
    finally:
        raw.close()


def scrub(engine: Engine, tables: Collection[str]) -> None:
    """Remove what was deleted a moment ago from the log (SQLite) or the tables (PostgreSQL), as far as nobody needs it.

    While somebody reads, SQLite keeps its log: it is emptied with the next call.
    """
    if engine.dialect.name == "sqlite":
        if engine.url.database:
            _truncate_log(engine)
        return
    with engine.connect().execution_options(isolation_level="AUTOCOMMIT") as connection:
        for table in sorted(tables):
            connection.exec_driver_sql(f"VACUUM {table}")


def is_in_use(engine: Engine) -> bool:
    """Whether another process is connected to the database. Closes the connections of this engine."""
    engine.dispose()
    if engine.dialect.name == "postgresql":
        with reading(engine) as connection:
            return connection.execute(_OTHERS).first() is not None
    if not engine.url.database or not os.path.exists(engine.url.database):
        return False
    file = sqlite3.connect(engine.url.database, timeout=0, isolation_level=None)
    try:  # every connection to a file with a write-ahead log keeps others from locking it as a whole
        for statement in ("PRAGMA locking_mode=EXCLUSIVE", "BEGIN EXCLUSIVE", "ROLLBACK"):
            file.execute(statement)
    except sqlite3.OperationalError:
        return True
    finally:
        file.close()
    return False


def _truncate_log(engine: Engine) -> None:
    connection = engine.raw_connection()
    try:
        cursor = connection.cursor()
        cursor.execute("PRAGMA busy_timeout=0")  # whoever is busy comes first; there is always a next time
        with suppress(sqlite3.OperationalError):
            cursor.execute("PRAGMA wal_checkpoint(TRUNCATE)").fetchall()
        cursor.execute(f"PRAGMA busy_timeout={_LOCK_TIMEOUT * 1_000}")
    finally:
        connection.close()


@contextmanager
def reading(engine: Engine) -> Iterator[Connection]:
    """A connection for a consistent read, which never waits for a writer."""
    with engine.connect().execution_options(**{READ_ONLY: True}) as connection:
        yield connection


@contextmanager
def snapshot(engine: Engine) -> Iterator[Connection]:
    """A connection whose reads all see the database as it is at the first of them, however long they take."""
    with reading(engine) as connection:
        if engine.dialect.name == "postgresql":
            connection.execution_options(isolation_level="REPEATABLE READ")
        yield connection
