"""The migrations make exactly the tables that the code speaks of."""

from importlib import import_module
from pathlib import Path
from pkgutil import iter_modules

from alembic.autogenerate import compare_metadata
from alembic.migration import MigrationContext
from sqlalchemy import text

from pipeline import store
from pipeline.store.db.engine import connect, migrate
from pipeline.store.schema.tables import metadata

for module in iter_modules(store.__path__):  # some declare tables of their own
    import_module(f"{store.__name__}.{module.name}")


def test_migrations_and_tables_say_the_same(database_url: str) -> None:
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


def test_a_current_schema_is_found_current_while_somebody_writes(sqlite_database_url: str) -> None:
    engine = connect(sqlite_database_url)
    try:
        with engine.begin():
            migrate(sqlite_database_url)
    finally:
        engine.dispose()


def test_the_database_file_is_nobody_elses_business(tmp_path: Path) -> None:
    migrate(f"sqlite:///{tmp_path}/fresh.db")
    assert (tmp_path / "fresh.db").stat().st_mode & 0o077 == 0
