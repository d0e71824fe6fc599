"""Fixtures of all tests: a fresh database on either engine, a broker; and the repeatable profile of Hypothesis."""

import os
import shutil
import sqlite3
from collections.abc import Iterator
from contextlib import closing
from functools import partial
from pathlib import Path
from typing import Any

import pytest
from argon2 import PasswordHasher
from hypothesis import settings
from sqlalchemy import URL, Engine, create_engine
from sqlalchemy.dialects.postgresql.psycopg import PGDialect_psycopg
from sqlalchemy.dialects.sqlite.pysqlite import SQLiteDialect_pysqlite
from sqlalchemy.util import LRUCache

from deploy.kafka import native
from tests.support.servers import kafka, postgres
from tests.support.servers.ways import Unavailable, missing

# The default is repeatable, so that a failure on one machine is a failure on the next. `explore` draws new examples:
# HYPOTHESIS_PROFILE=explore make test
settings.register_profile("ci", derandomize=True, deadline=None, print_blob=True)
settings.register_profile("explore", deadline=None, print_blob=True, max_examples=2_000)
settings.load_profile(os.environ.get("HYPOTHESIS_PROFILE", "ci"))


@pytest.fixture(scope="session", autouse=True)
def _quick_passwords() -> Iterator[None]:
    """Passwords cost a thousandth of what they cost in production: nearly every test of a page signs somebody in."""
    from pipeline.web.auth import passwords

    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(passwords, "PasswordHasher", partial(PasswordHasher, time_cost=1, memory_cost=8, parallelism=1))
        yield


@pytest.fixture(scope="session", autouse=True)
def _compiled_once() -> Iterator[None]:
    """Every test has engines of its own. What SQLAlchemy has compiled for one of them serves the others, too."""
    from pipeline.store.db import engine

    compiled: dict[str, LRUCache[Any, Any]] = {}

    def _create_engine(url: URL, **options: Any) -> Engine:
        made = create_engine(url, **options)
        cache = compiled.setdefault(made.dialect.name, LRUCache(10_000))
        made.update_execution_options(compiled_cache=cache)
        return made

    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(engine, "create_engine", _create_engine)
        for dialect in (PGDialect_psycopg, SQLiteDialect_pysqlite):  # part of the cache's keys
            patch.setattr(dialect, "__eq__", lambda self, other: type(self) is type(other))
            patch.setattr(dialect, "__hash__", lambda self: hash(type(self)))
        yield


@pytest.fixture
def production_passwords(monkeypatch: pytest.MonkeyPatch) -> None:
    """For tests of the cost itself: applications made from here on hash passwords as in production."""
    from pipeline.web.auth import passwords

    monkeypatch.setattr(passwords, "PasswordHasher", PasswordHasher)


@pytest.fixture(scope="session")
def postgres_server() -> Iterator[postgres.PostgresServer]:
    try:
        with postgres.postgres_server() as server:
            yield server
    except Unavailable as reason:
        missing(reason)


@pytest.fixture(scope="session")
def postgres_url(postgres_server: postgres.PostgresServer) -> str:
    """The server's maintenance database, for tests that manage databases themselves."""
    return _render(postgres_server.url)


@pytest.fixture(scope="session")
def kafka_broker() -> Iterator[kafka.KafkaBroker]:
    try:
        with kafka.kafka_broker() as broker:
            yield broker
    except Unavailable as reason:
        missing(reason)


@pytest.fixture(scope="session")
def kafka_bootstrap(kafka_broker: kafka.KafkaBroker) -> str:
    """The broker's address, HOST:PORT. It is shared: a test that breaks its broker starts its own."""
    return kafka_broker.bootstrap


@pytest.fixture
def topic_prefix(kafka_broker: kafka.KafkaBroker) -> str:
    """The prefix of this test's topics, different from that of every other test."""
    return kafka_broker.new_prefix()


@pytest.fixture
def kafka_node(tmp_path: Path) -> Iterator[native.Node]:
    """A running broker for this test alone, which may stop, kill or pause it."""
    node = native.Node(tmp_path / "kafka")
    try:
        node.start()
    except native.CannotRun as reason:
        missing(Unavailable(str(reason)))
    yield node
    node.kill()


@pytest.fixture(params=["sqlite", "postgresql"])
def database_url(request: pytest.FixtureRequest) -> str:
    """A database for this test alone, with the current schema: once on SQLite and once on PostgreSQL."""
    url: str = request.getfixturevalue(f"{request.param}_database_url")
    return url


@pytest.fixture
def sqlite_database_url(_migrated_sqlite_file: Path, tmp_path: Path) -> str:
    database = tmp_path / "unvarnished.db"
    shutil.copyfile(_migrated_sqlite_file, database)
    return _sqlite_url(database)


@pytest.fixture
def postgresql_database_url(
    postgres_server: postgres.PostgresServer, _migrated_postgres_database: URL
) -> Iterator[str]:
    database = postgres_server.create_database(template=_migrated_postgres_database.database or "")
    yield _render(database)
    postgres_server.drop_database(database)


@pytest.fixture
def cluster_database_url(postgresql_database_url: str, _suite_topics: tuple[str, str]) -> str:
    """For tests that run in both modes: `embedded` runs a cluster on it, with Kafka between relay and worker."""
    from tests.support.running.steps import for_cluster

    return for_cluster(postgresql_database_url, *_suite_topics)


@pytest.fixture(scope="session")
def _suite_topics(kafka_broker: kafka.KafkaBroker) -> Iterator[tuple[str, str]]:
    """Broker and prefix of the topics that these tests use one after the other."""
    from tests.support.running.wire import wire

    found = kafka_broker.bootstrap, kafka_broker.new_prefix()
    between = wire(*found)
    yield found
    between.close()


@pytest.fixture(scope="session")
def _migrated_sqlite_file(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A database file, migrated once and copied for each test."""
    file = tmp_path_factory.mktemp("schema") / "unvarnished.db"
    _migrate(_sqlite_url(file))
    with closing(sqlite3.connect(file)) as connection:
        # Moves everything into the one file that is copied: nothing stays in the -wal file.
        connection.execute("PRAGMA wal_checkpoint(TRUNCATE)")
    return file


@pytest.fixture(scope="session")
def _migrated_postgres_database(postgres_server: postgres.PostgresServer) -> Iterator[URL]:
    """A database, migrated once: the template of each test's database."""
    database = postgres_server.create_database()
    _migrate(_render(database))
    postgres_server.freeze(database)
    yield database
    postgres_server.drop_database(database)


def _migrate(url: str) -> None:
    # Not at the top: tests that need no database should not pay for SQLAlchemy and Alembic.
    from pipeline.store.schema.upgrade import migrate

    migrate(url)


def _render(url: URL) -> str:
    return url.render_as_string(hide_password=False)


def _sqlite_url(file: Path) -> str:
    return f"sqlite:///{file}"
