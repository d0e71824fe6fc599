"""Several writers on one SQLite file: none is refused for another, and whoever fails holds nobody up."""

import threading
from collections.abc import Iterator

import pytest
from sqlalchemy import Engine, select, text
from sqlalchemy.exc import OperationalError

from pipeline.store import engine as engine_module
from pipeline.store import journal
from pipeline.store.engine import connect, reading
from pipeline.store.tables import state

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
