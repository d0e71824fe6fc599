"""The migrations create exactly the tables that the code defines."""

from pathlib import Path

import pytest
from alembic.autogenerate import compare_metadata
from alembic.migration import MigrationContext
from sqlalchemy import text

from pipeline.store.db.engine import connect
from pipeline.store.schema.tables import metadata
from pipeline.store.schema.upgrade import SchemaTooNew, migrate


def test_migrations_and_tables_agree(database_url: str) -> None:
    engine = connect(database_url)
    try:
        with engine.begin() as connection:
            context = MigrationContext.configure(
                connection, opts={"compare_type": not database_url.startswith("sqlite")}
            )
            assert compare_metadata(context, metadata) == []
    finally:
        engine.dispose()


def test_migrating_again_changes_nothing(database_url: str) -> None:
    migrate(database_url)
    engine = connect(database_url)
    try:
        with engine.begin() as connection:
            assert connection.execute(text("SELECT count(*) FROM alembic_version")).scalar_one() == 1
    finally:
        engine.dispose()


def test_a_schema_of_a_later_version_is_refused_with_what_to_do(database_url: str) -> None:
    engine = connect(database_url)
    try:
        with engine.begin() as connection:
            connection.execute(text("UPDATE alembic_version SET version_num = '9999'"))
        with pytest.raises(SchemaTooNew, match=r"database's schema 9999 is newer than \d{4}, .*: update Unvarnished"):
            migrate(database_url)
    finally:
        engine.dispose()


def test_migrating_a_current_schema_waits_for_no_writer(sqlite_database_url: str) -> None:
    engine = connect(sqlite_database_url)
    try:
        with engine.begin():
            migrate(sqlite_database_url)
    finally:
        engine.dispose()


def test_the_database_file_is_readable_by_its_owner_only(tmp_path: Path) -> None:
    migrate(f"sqlite:///{tmp_path}/fresh.db")
    assert (tmp_path / "fresh.db").stat().st_mode & 0o077 == 0
