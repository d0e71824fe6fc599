from contextlib import AbstractContextManager

import psycopg
import pytest

from deploy.postgres.native import libpq_url
from tests.support.servers.postgres import ENVIRONMENT_VARIABLE, PostgresServer, from_environment, postgres_server
from tests.support.servers.ways import Unavailable


def nowhere() -> AbstractContextManager[PostgresServer]:
    raise Unavailable("nothing is here")


def test_the_server_answers_and_commits_durably(postgres_server: PostgresServer) -> None:
    with psycopg.connect(libpq_url(postgres_server.url)) as connection:
        version = connection.execute("SELECT version()").fetchone()
        fsync = connection.execute("SHOW fsync").fetchone()

    assert version is not None
    assert version[0].startswith("PostgreSQL ")
    assert fsync == ("on",)


def test_databases_of_one_template_start_alike_and_do_not_share_rows(postgres_server: PostgresServer) -> None:
    template = postgres_server.create_database()
    with psycopg.connect(libpq_url(template)) as connection:
        connection.execute("CREATE TABLE answers (score int)")
    postgres_server.freeze(template)
    first = postgres_server.create_database(template.database or "")
    second = postgres_server.create_database(template.database or "")

    with psycopg.connect(libpq_url(first)) as connection:
        connection.execute("INSERT INTO answers VALUES (9)")
    with psycopg.connect(libpq_url(second)) as connection:
        assert connection.execute("SELECT count(*) FROM answers").fetchone() == (0,)

    for database in (first, second, template):
        postgres_server.drop_database(database)


def test_a_template_is_frozen_even_when_a_connection_was_left_open(postgres_server: PostgresServer) -> None:
    template = postgres_server.create_database()
    with psycopg.connect(libpq_url(template)) as forgotten:
        postgres_server.freeze(template)
        postgres_server.drop_database(postgres_server.create_database(template.database or ""))

        with pytest.raises(psycopg.OperationalError):
            forgotten.execute("SELECT 1")
    postgres_server.drop_database(template)


def test_a_database_is_dropped_even_when_a_test_is_still_connected(postgres_server: PostgresServer) -> None:
    database = postgres_server.create_database()
    with psycopg.connect(libpq_url(database)):
        postgres_server.drop_database(database)

    with pytest.raises(psycopg.OperationalError, match="does not exist"):
        psycopg.connect(libpq_url(database))


def test_the_first_available_server_is_used(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv(ENVIRONMENT_VARIABLE, "postgresql://somebody@db.example/postgres")

    with postgres_server((nowhere, from_environment)) as server:
        assert server.origin == ENVIRONMENT_VARIABLE
        assert server.url.drivername == "postgresql+psycopg"


def test_without_any_server_every_reason_is_reported(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv(ENVIRONMENT_VARIABLE, raising=False)

    with (
        pytest.raises(Unavailable, match="UNVARNISHED_TEST_POSTGRES_URL is not set; nothing is here"),
        postgres_server((from_environment, nowhere)),
    ):
        pass


def test_each_test_gets_a_migrated_database(database_url: str) -> None:
    from pipeline.store.db.engine import connect

    engine = connect(database_url)
    try:
        with engine.connect() as connection:
            assert connection.exec_driver_sql("SELECT count(*) FROM alembic_version").scalar_one() == 1
    finally:
        engine.dispose()
