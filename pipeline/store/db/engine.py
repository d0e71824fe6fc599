"""Connecting to the database and bringing its schema up to date."""

import sqlite3
from collections.abc import Iterator
from contextlib import contextmanager
from functools import partial
from importlib.resources import files
from pathlib import Path
from typing import Any

from sqlalchemy import URL, Connection, Engine, create_engine, event, inspect, make_url, text
from sqlalchemy.exc import OperationalError

from pipeline.settings import Unusable, files_of_ours
from pipeline.store.db.fair_lock import Turns

READ_ONLY = "unvarnished_read_only"
_CLUSTER = "unvarnished_cluster"
_MIGRATIONS = files("pipeline.store.schema").joinpath("migrations")
_PATIENCE = 30  # seconds that a writer waits for another one
# Seconds that a worker may stand still inside a transaction: whoever took over its work needs the locks.
_STANDSTILL = 10
# A server that is gone without a word is trouble after half a minute, not when the system gives up after a quarter of
# an hour or more. What the URL says counts before this.
_GONE = {
    "connect_timeout": 10,  # seconds
    "keepalives_idle": 15,  # seconds without a byte before the server is asked whether it is there
    "keepalives_interval": 5,
    "keepalives_count": 3,
    "tcp_user_timeout": 30_000,  # milliseconds for what we sent to be acknowledged
}
_TURN = "unvarnished_turn"  # under this name a connection remembers that it has the turn
_PRAGMAS = (
    "journal_mode=WAL",
    "synchronous=FULL",  # a commit is on disk when it returns
    f"busy_timeout={_PATIENCE * 1_000}",  # milliseconds: for writers of other processes
    "cache_size=-65536",  # KiB
    "wal_autocheckpoint=16384",  # pages of 4 KiB: every thousand, the default, would mean with every batch
)


def connect(url: str, cluster: bool = False) -> Engine:
    """An engine for a SQLAlchemy URL, SQLite prepared as `_PRAGMAS` says.

    `cluster`: several processes work on this database at once. Raises Unusable if it cannot bear that, or if SQLite's
    file cannot be made.
    """
    parsed = make_url(url)
    if cluster:
        return _connect_cluster(parsed)
    if parsed.get_backend_name() == "sqlite":
        if parsed.database:
            with files_of_ours():
                Path(parsed.database).parent.mkdir(parents=True, exist_ok=True)
                Path(parsed.database).touch(mode=0o600)  # nobody else on this machine is to read it
        engine = create_engine(url)
        turns = Turns()
        event.listen(engine, "connect", _prepare_sqlite)
        event.listen(engine, "begin", partial(_begin, turns))
        event.listen(engine, "checkin", partial(_give_back, turns))
        return engine
    return _postgresql(parsed)


def _postgresql(url: URL, **options: Any) -> Engine:
    wire = {name: value for name, value in _GONE.items() if name not in url.query}
    return create_engine(url, pool_pre_ping=True, connect_args=wire, **options)


def _connect_cluster(url: URL) -> Engine:
    if url.get_backend_name() != "postgresql":
        raise Unusable("several processes on one database need PostgreSQL: name one in UNVARNISHED_DATABASE_URL")
    engine = _postgresql(url, execution_options={_CLUSTER: True})
    event.listen(engine, "connect", _bound_standstill)
    return engine


def _bound_standstill(connection: Any, _record: Any) -> None:
    with connection.cursor() as cursor:
        cursor.execute(f"SET idle_in_transaction_session_timeout = '{_STANDSTILL}s'")
    connection.commit()


def is_cluster(connection: Connection) -> bool:
    """Whether several processes work on this connection's database at once."""
    return bool(connection.get_execution_options().get(_CLUSTER, False))


def migrate(url: str) -> None:
    """Bring the schema of that database to the newest version. One that is there already waits for nobody's lock."""
    engine = connect(url)
    try:
        current, newest = revisions(engine)
        if current != newest:
            _upgrade(engine)
    finally:
        engine.dispose()


def revisions(engine: Engine) -> tuple[str | None, str]:
    """The version of the schema that is there, None for none, and this program's."""
    return _version(engine), _newest()


def _version(engine: Engine) -> str | None:
    with reading(engine) as connection:
        if not inspect(connection).has_table("alembic_version"):
            return None
        return connection.execute(text("SELECT version_num FROM alembic_version")).scalar()


def _newest() -> str:
    """The newest version there is a migration to; the name of its file begins with it."""
    names = (entry.name for entry in _MIGRATIONS.joinpath("versions").iterdir())
    return max(name.partition("_")[0] for name in names if name[:1].isdigit())


def _upgrade(engine: Engine) -> None:
    from alembic import command  # a quarter of a second that only a new version costs
    from alembic.config import Config

    config = Config()
    config.set_main_option("script_location", str(_MIGRATIONS))
    with engine.begin() as connection:
        if connection.dialect.name == "postgresql":  # several processes may start at once
            connection.execute(text("SELECT pg_advisory_xact_lock(0)"))
        config.attributes["connection"] = connection
        command.upgrade(config, "head")


def _prepare_sqlite(connection: sqlite3.Connection, _record: Any) -> None:
    connection.isolation_level = None  # transactions begin where `_begin` says so
    cursor = connection.cursor()
    for pragma in _PRAGMAS:
        cursor.execute(f"PRAGMA {pragma}")
    cursor.close()


def _begin(turns: Turns, connection: Connection) -> None:
    """Begin a transaction. One that writes takes the write lock at once: a reader could not turn writer half-way.

    Raises OperationalError if its turn does not come.
    """
    if connection.get_execution_options().get(READ_ONLY, False):
        connection.exec_driver_sql("BEGIN")
        return
    if _TURN not in connection.info:
        if not turns.take(_PATIENCE):
            raise OperationalError("BEGIN IMMEDIATE", None, sqlite3.OperationalError("database is locked"))
        connection.info[_TURN] = True
    connection.exec_driver_sql("BEGIN IMMEDIATE")


def _give_back(turns: Turns, _connection: sqlite3.Connection | None, record: Any) -> None:
    """A connection comes back to the pool, whatever became of its transaction: the next one's turn."""
    if record.info.pop(_TURN, None) is not None:
        turns.pass_on()


@contextmanager
def reading(engine: Engine) -> Iterator[Connection]:
    """A consistent view that never waits for the writer and changes nothing."""
    with engine.connect().execution_options(**{READ_ONLY: True}) as connection:
        yield connection
