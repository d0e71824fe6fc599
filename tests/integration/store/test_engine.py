"""Several writers on one SQLite file do not block each other for long, nor does an unresponsive PostgreSQL server."""

import socket
import threading
from collections.abc import Iterator
from contextlib import contextmanager

import pytest
from sqlalchemy import Engine, select, text
from sqlalchemy.exc import OperationalError

from pipeline.consumers.runtime.retries import is_transient
from pipeline.store.db import engine as engine_module
from pipeline.store.db.engine import connect, reading
from pipeline.store.journal import state as installation_state
from pipeline.store.schema.journal import state
from tests.support.limits import PATIENCE


@pytest.fixture
def engine(sqlite_database_url: str) -> Iterator[Engine]:
    made = connect(sqlite_database_url)
    yield made
    made.dispose()


def put(engine: Engine, name: str) -> None:
    with engine.begin() as connection:
        installation_state.put(connection, name, "")


def names(engine: Engine) -> set[str]:
    with reading(engine) as connection:
        return set(connection.execute(select(state.c.name)).scalars())


def test_readers_never_wait_for_a_writer(engine: Engine) -> None:
    with engine.begin() as connection:
        installation_state.put(connection, "unfinished", "")
        assert "unfinished" not in names(engine)
    assert "unfinished" in names(engine)


def test_a_failed_transaction_releases_the_write_lock(engine: Engine) -> None:
    def _fail() -> None:
        with engine.begin() as connection:
            connection.execute(text("INSERT INTO nowhere VALUES (1)"))

    for _ in range(3):
        with pytest.raises(OperationalError, match="nowhere"):
            _fail()
    put(engine, "after")


def test_a_writer_waits_for_a_writer_of_another_process(engine: Engine, sqlite_database_url: str) -> None:
    other = connect(sqlite_database_url)  # a separate engine, as in another process
    thread = threading.Thread(target=put, args=(engine, "mine"))
    with other.begin() as connection:
        installation_state.put(connection, "theirs", "")
        thread.start()
    thread.join(PATIENCE)
    other.dispose()
    assert {"mine", "theirs"} <= names(engine)


def test_a_write_lock_that_is_not_released_in_time_is_a_transient_error(
    engine: Engine, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(engine_module, "_LOCK_TIMEOUT", 0.01)
    with engine.begin(), pytest.raises(OperationalError, match="locked"):
        put(engine, "impatient")
    put(engine, "patient")
    assert "patient" in names(engine)


@contextmanager
def silent_server() -> Iterator[str]:
    """The URL of a server that accepts connections and never responds."""
    with socket.create_server(("127.0.0.1", 0)) as listening:
        yield f"postgresql+psycopg://unvarnished@127.0.0.1:{listening.getsockname()[1]}/unvarnished"


@pytest.mark.parametrize("cluster", [False, True])
def test_an_unresponsive_server_is_a_transient_error(cluster: bool, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(engine_module._UNRESPONSIVE, "connect_timeout", 1)
    with silent_server() as url, pytest.raises(OperationalError) as failure:
        connect(url, cluster).connect()
    assert is_transient(failure.value)


def test_the_url_can_set_the_timeouts_of_a_server() -> None:
    with silent_server() as url, pytest.raises(OperationalError, match="timeout expired"):
        connect(f"{url}?connect_timeout=1").connect()
