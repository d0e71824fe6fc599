"""Upgrades of the database schema to the newest version."""

from importlib.resources import files

from sqlalchemy import Engine, inspect, text

from pipeline import __version__
from pipeline.errors import UserError
from pipeline.store.db.engine import connect, reading

_SEALED_SINCE = "sealing_keys"  # the table that came with the sealing of words
_PENDING = text("SELECT 1 FROM state WHERE name = 'sealing'")
_WORDED = ("journal", "dead_letters")  # without rows in these there are no words
_MIGRATIONS = files("pipeline.store.schema").joinpath("migrations")


class SchemaTooNew(UserError):
    """A later version of Unvarnished migrated the database; this one does not know its schema."""

    def __init__(self, current: str, newest: str) -> None:
        self.found = f"schema {current} is newer than {newest}, the newest that Unvarnished {__version__} knows"
        super().__init__(f"the database's {self.found}: update Unvarnished")


class WordsNotSealed(UserError):
    """An earlier version stored words in this database readable. Until they are sealed, no process may use it."""

    found = "it holds words that an earlier version stored readable"
    advice = "stop every process of Unvarnished, then run `unvarnished migrate`"

    def __init__(self) -> None:
        super().__init__(f"the database cannot be used yet: {self.found}; {self.advice}")


def migrate(url: str, sealing: bool = False) -> None:
    """Upgrade the schema of that database to the newest version. Waits for no lock if it is up to date.

    `sealing`: the caller seals the words of earlier versions next. Raises SchemaTooNew, WordsNotSealed.
    """
    engine = connect(url)
    try:
        current, newest = revisions(engine)
        if current is not None and not sealing and holds_words(engine):
            raise WordsNotSealed
        if current != newest:
            _upgrade(engine)
    finally:
        engine.dispose()


def holds_words(engine: Engine) -> bool:
    """Whether words of an earlier version are to be sealed in a database that has a schema."""
    with reading(engine) as connection:
        if inspect(connection).has_table(_SEALED_SINCE):
            return connection.execute(_PENDING).first() is not None
        return any(connection.execute(text(f"SELECT 1 FROM {table} LIMIT 1")).first() for table in _WORDED)  # noqa: S608


def revisions(engine: Engine) -> tuple[str | None, str]:
    """The version of the database's schema (None: it has none), and the newest version that this program knows.

    Raises SchemaTooNew if the first is the newer one.
    """
    current, newest = _version(engine), _newest()
    if current is not None and current > newest:
        raise SchemaTooNew(current, newest)
    return current, newest


def _version(engine: Engine) -> str | None:
    with reading(engine) as connection:
        if not inspect(connection).has_table("alembic_version"):
            return None
        return connection.execute(text("SELECT version_num FROM alembic_version")).scalar()


def _newest() -> str:
    """The newest version that has a migration; the name of its file begins with it."""
    names = (entry.name for entry in _MIGRATIONS.joinpath("versions").iterdir())
    return max(name.partition("_")[0] for name in names if name[:1].isdigit())


def _upgrade(engine: Engine) -> None:
    from alembic import command  # takes a quarter of a second: imported only if there is an upgrade
    from alembic.config import Config

    config = Config()
    config.set_main_option("script_location", str(_MIGRATIONS))
    with engine.begin() as connection:
        if connection.dialect.name == "postgresql":  # several processes may start at the same time
            connection.execute(text("SELECT pg_advisory_xact_lock(0)"))
        config.attributes["connection"] = connection
        command.upgrade(config, "head")
