"""A database that cannot be written to: it is noticed, nothing is acknowledged, and writing goes on afterwards."""

import os
import shutil
import sqlite3
import subprocess
from collections.abc import Callable, Iterator
from contextlib import closing, contextmanager
from pathlib import Path

import pytest
from sqlalchemy import Engine, select, text
from sqlalchemy.exc import DBAPIError, IntegrityError, OperationalError, ProgrammingError, SQLAlchemyError
from tenacity import wait_none

from pipeline.consumers.runtime.embedded import EmbeddedRunner
from pipeline.consumers.runtime.write_queue import Unavailable
from pipeline.store.db.engine import connect, reading, shrink_log
from pipeline.store.db.sqlite_files import LOST
from pipeline.store.db.transient import is_transient, reason_of
from pipeline.store.db.write_probe import try_write
from pipeline.store.journal import state as facts
from pipeline.store.schema.journal import state
from tests.support.limits import PATIENCE
from tests.support.running.writing import order, writing


@pytest.fixture
def engine(database_url: str) -> Iterator[Engine]:
    made = connect(database_url)
    yield made
    made.dispose()


def put(engine: Engine, name: str, value: str = "") -> None:
    with engine.begin() as connection:
        facts.put(connection, name, value)


def failure(do: Callable[[], object]) -> SQLAlchemyError:
    with pytest.raises(SQLAlchemyError) as raised:
        do()
    return raised.value


def without_pauses(runtime: EmbeddedRunner) -> EmbeddedRunner:
    """Attempts as many as ever, without the seconds in between, of which every wait of these tests would be made."""
    runtime._retrying = runtime._retrying.copy(wait=wait_none())
    return runtime


def run(engine: Engine, statement: str) -> None:
    with engine.begin() as connection:
        connection.execute(text(statement))


@pytest.mark.parametrize(
    "statement",
    [
        "SELECT * FROM nowhere",
        "SELECT nothing FROM state",
        "SELEKT 1",
        "INSERT INTO state (name) VALUES ('x'), ('x')",
        "INSERT INTO journal DEFAULT VALUES",
    ],
)
def test_a_bug_in_a_statement_never_counts_as_transient(engine: Engine, statement: str) -> None:
    """SQLite's driver has one class for bugs and for failures that pass."""
    assert not is_transient(failure(lambda: run(engine, statement)))


def test_failures_that_pass_count_as_transient() -> None:
    for code in (
        sqlite3.SQLITE_BUSY_SNAPSHOT,
        sqlite3.SQLITE_LOCKED,
        sqlite3.SQLITE_FULL,
        sqlite3.SQLITE_IOERR_WRITE,
        sqlite3.SQLITE_READONLY_DBMOVED,
        sqlite3.SQLITE_CANTOPEN,
    ):
        cause = sqlite3.OperationalError("words that may change")
        cause.sqlite_errorcode = code
        assert is_transient(OperationalError("", {}, cause))
    for bug in (ProgrammingError, IntegrityError):
        assert not is_transient(bug("", {}, sqlite3.OperationalError("")))


@contextmanager
def read_only(url: str) -> Iterator[None]:
    """A PostgreSQL that was demoted: who is connected stays connected, and can write no more."""
    other = connect(url)
    name = other.url.database
    try:
        run(other, f'ALTER DATABASE "{name}" SET default_transaction_read_only = on')
        other.dispose()
        yield
    finally:
        with other.begin() as connection:
            connection.execute(text("SET TRANSACTION READ WRITE"))
            connection.execute(text(f'ALTER DATABASE "{name}" SET default_transaction_read_only = off'))
        other.dispose()


def test_a_read_only_postgresql_is_transient_and_its_connections_are_given_up(postgresql_database_url: str) -> None:
    engine = connect(postgresql_database_url)
    with read_only(postgresql_database_url):
        error = failure(lambda: put(engine, "x"))
        assert is_transient(error)
        assert reason_of(failure(lambda: try_write(engine))) == "the database is read-only"
    put(engine, "x")  # on a new connection: the old one would still be read-only
    engine.dispose()


def test_a_read_only_postgresql_does_not_end_the_write_queue(
    start: Callable[..., EmbeddedRunner], database_url: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    if not database_url.startswith("postgresql"):
        pytest.skip("PostgreSQL only")
    runtime = without_pauses(start())
    with writing(runtime) as (writer, _):
        writer.submit(order(1)).result(PATIENCE)
        with read_only(database_url):
            former = runtime.engine.pool
            runtime.engine.dispose()  # as a failover does
            assert isinstance(writer.submit(order(2)).exception(PATIENCE), Unavailable)
            assert writer.unavailable
        assert writer.submit(order(2)).result(PATIENCE).new == 1
        assert writer.alive
    former.dispose()  # where the writer returned the connection that it had


def _delete(database: Path) -> None:
    database.unlink()


def _replace(database: Path) -> None:
    shutil.copyfile(database, f"{database}.backup")
    os.replace(f"{database}.backup", database)


def _delete_wal(database: Path) -> None:
    Path(f"{database}-wal").unlink()


def _delete_folder(database: Path) -> None:
    shutil.rmtree(database.parent)


@pytest.mark.parametrize("lose", [_delete, _replace, _delete_wal, _delete_folder])
def test_nothing_is_acknowledged_once_the_files_of_sqlite_are_lost(
    lose: Callable[[Path], None], sqlite_database_url: str, start: Callable[..., EmbeddedRunner], database_url: str
) -> None:
    if not database_url.startswith("sqlite"):
        pytest.skip("SQLite only")
    runtime = without_pauses(start())
    database = Path(runtime.engine.url.database or "")
    with writing(runtime) as (writer, _):
        assert writer.submit(order(1)).result(PATIENCE).new == 1
        lose(database)
        existed = database.exists()
        for number in (2, 3):
            assert isinstance(writer.submit(order(number)).exception(PATIENCE), Unavailable)
        assert reason_of(failure(lambda: try_write(runtime.engine))) == LOST
        assert writer.alive, "readiness reports it; a restart is for a person to decide"
        former = runtime.engine.pool
        runtime.engine.dispose()
        assert isinstance(writer.submit(order(2)).exception(PATIENCE), Unavailable), "nor in a new file"
        assert database.exists() == existed
    former.dispose()  # as above


def test_the_files_may_be_recreated_by_ourselves(sqlite_database_url: str) -> None:
    """SQLite removes the log when the last connection is closed, and creates it with the next one."""
    engine = connect(sqlite_database_url)
    for _ in range(3):
        put(engine, "x")
        with engine.connect(), engine.connect():
            pass
        engine.dispose()
    put(engine, "y")
    engine.dispose()


def test_a_probe_writes_and_leaves_nothing_behind(engine: Engine) -> None:
    for _ in range(3):
        try_write(engine)
    with reading(engine) as connection:
        assert "write probe" not in set(connection.execute(select(state.c.name)).scalars())


def test_a_probe_does_not_wait_for_a_writer(sqlite_database_url: str) -> None:
    ours, another = connect(sqlite_database_url), connect(sqlite_database_url)
    for engine in (ours, another):
        with engine.begin() as connection:
            facts.put(connection, "x", "")
            try_write(ours)  # something is being written, so there is nothing to try
    for engine in (ours, another):
        engine.dispose()


@contextmanager
def small_disk(folder: Path, size: str = "6m") -> Iterator[Path]:
    """A file system of its own. Only root may mount one; it is unmounted at the end."""
    folder.mkdir()
    mounted = ["mount", "-t", "tmpfs", "-o", f"size={size}", "tmpfs", str(folder)]
    if os.geteuid() != 0 or subprocess.run(mounted, check=False, capture_output=True).returncode:
        pytest.skip("no file system can be mounted here")
    try:
        yield folder
    finally:
        subprocess.run(["umount", "-l", str(folder)], check=True)


def fill(file: Path) -> None:
    with file.open("wb", buffering=0) as filler:
        for size in (1 << 20, 4_096, 1):
            try:
                while filler.write(b"x" * size) == size:
                    assert filler.tell() < 8 << 20
            except OSError:
                continue


def test_a_full_disk_is_noticed_until_there_is_room_again(tmp_path: Path, sqlite_database_url: str) -> None:
    with small_disk(tmp_path / "small") as folder:
        shutil.copyfile(sqlite_database_url.removeprefix("sqlite:///"), folder / "one.db")
        engine = connect(f"sqlite:///{folder / 'one.db'}")
        for number in range(20):
            put(engine, f"{number}", "x" * 10_000)
        try_write(engine)
        with closing(sqlite3.connect(folder / "one.db")) as other:
            other.execute("PRAGMA wal_checkpoint(RESTART)")
        fill(folder / "filler")
        put(engine, "1")  # small writes find room in the log that is there
        for _ in range(3):
            error = failure(lambda: try_write(engine))
            assert is_transient(error)
            assert reason_of(error) == "the disk of the database is full"
        (folder / "filler").unlink()
        try_write(engine)
        engine.dispose()


def test_the_log_is_cut_back_when_a_long_reader_has_gone(sqlite_database_url: str) -> None:
    engine = connect(sqlite_database_url)
    wal = Path(f"{engine.url.database}-wal")
    with reading(engine) as reader:
        reader.execute(select(state)).all()
        for number in range(100):
            put(engine, f"{number}", "x" * 1_000_000)
        assert wal.stat().st_size > 90 << 20
        shrink_log(engine)
        assert wal.stat().st_size > 90 << 20, "the reader needs it"
        put(engine, "meanwhile")
    size = wal.stat().st_size
    for number in range(3):
        put(engine, f"again {number}", "x" * 1_000_000)
    assert wal.stat().st_size <= 64 << 20 < size
    engine.dispose()


def test_the_log_is_cut_back_even_if_nothing_more_is_written(sqlite_database_url: str) -> None:
    engine = connect(sqlite_database_url)
    wal = Path(f"{engine.url.database}-wal")
    with reading(engine) as reader:
        reader.execute(select(state)).all()
        for number in range(100):
            put(engine, f"{number}", "x" * 1_000_000)
    shrink_log(engine)
    assert wal.stat().st_size == 0
    put(engine, "after")
    engine.dispose()


def test_a_lock_that_is_not_released_keeps_its_class(sqlite_database_url: str) -> None:
    ours = connect(sqlite_database_url)
    with sqlite3.connect(str(ours.url.database), isolation_level=None) as other:
        other.execute("BEGIN IMMEDIATE")
        try_write(ours)
        other.execute("ROLLBACK")
    other.close()
    assert isinstance(failure(lambda: run(ours, "SELECT * FROM nowhere")), DBAPIError)
    ours.dispose()
