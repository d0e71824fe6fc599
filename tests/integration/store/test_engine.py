"""Several writers on one SQLite file hold nobody up, and neither does a PostgreSQL server that says nothing."""

import socket
import threading
from collections.abc import Iterator
from contextlib import contextmanager

import pytest
from sqlalchemy import Engine, select, text
from sqlalchemy.exc import OperationalError

from pipeline.consumers.runtime.embedded import passes
from pipeline.store.db import engine as engine_module
from pipeline.store.db.engine import connect, reading
from pipeline.store.journal import journal
from pipeline.store.schema.tables import state

SECONDS = 30  # until a test gives up


@pytest.fixture
def engine(sqlite_database_url: str) -> Iterator[Engine]:
    made = connect(sqlite_database_url)
    yield made
    made.dispose()


def put(engine: Engine, name: str) -> None:
    with engine.begin() as connection:
        journal.put(connection, name, "")


def names(engine: Engine) -> set[str]:
    with reading(engine) as connection:
        return set(connection.execute(select(state.c.name)).scalars())


def test_readers_wait_for_no_writer(engine: Engine) -> None:
    with engine.begin() as connection:
        journal.put(connection, "unfinished", "")
        assert "unfinished" not in names(engine)
    assert "unfinished" in names(engine)


def test_a_transaction_that_fails_gives_its_turn_back(engine: Engine) -> None:
    def _fail() -> None:
        with engine.begin() as connection:
            connection.execute(text("INSERT INTO nowhere VALUES (1)"))

    for _ in range(3):
        with pytest.raises(OperationalError, match="nowhere"):
            _fail()
    put(engine, "after")


def test_another_process_that_writes_is_waited_for(engine: Engine, sqlite_database_url: str) -> None:
    other = connect(sqlite_database_url)  # an engine of its own, as another process has it
    thread = threading.Thread(target=put, args=(engine, "mine"))
    with other.begin() as connection:
        journal.put(connection, "theirs", "")
        thread.start()
    thread.join(SECONDS)
    other.dispose()
    assert {"mine", "theirs"} <= names(engine)


def test_a_turn_that_never_comes_is_trouble_that_passes(engine: Engine, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(engine_module, "_PATIENCE", 0.01)
    with engine.begin(), pytest.raises(OperationalError, match="locked"):
        put(engine, "impatient")
    put(engine, "patient")
    assert "patient" in names(engine)


@contextmanager
def silent_server() -> Iterator[str]:
    """The URL of one that takes connections and never says a word."""
    with socket.create_server(("127.0.0.1", 0)) as listening:
        yield f"postgresql+psycopg://unvarnished@127.0.0.1:{listening.getsockname()[1]}/unvarnished"


@pytest.mark.parametrize("cluster", [False, True])
def test_a_server_that_says_nothing_is_trouble_that_passes(cluster: bool, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(engine_module._GONE, "connect_timeout", 1)
    with silent_server() as url, pytest.raises(OperationalError) as trouble:
        connect(url, cluster).connect()
    assert passes(trouble.value)


def test_how_long_a_server_is_waited_for_can_be_said_in_the_url() -> None:
    with silent_server() as url, pytest.raises(OperationalError, match="timeout expired"):
        connect(f"{url}?connect_timeout=1").connect()
