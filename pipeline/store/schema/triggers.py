"""Lifts the triggers of append-only tables while the words of earlier versions are sealed: for that migration alone."""

from collections.abc import Iterator
from contextlib import contextmanager

from sqlalchemy import Connection, text

_ON_SQLITE = text("SELECT name, sql FROM sqlite_master WHERE type = 'trigger' AND tbl_name = :table ORDER BY name")
_ON_POSTGRESQL = text(
    "SELECT tgname, pg_get_triggerdef(oid) FROM pg_trigger "
    "WHERE tgrelid = CAST(:table AS regclass) AND NOT tgisinternal ORDER BY tgname"
)


@contextmanager
def lifted(connection: Connection, table: str) -> Iterator[None]:
    """Drop the triggers of a table and make the same ones again, in the caller's transaction.

    Nobody else ever sees the table without them: if the process is killed in between, the transaction never was.
    """
    on_sqlite = connection.dialect.name == "sqlite"
    found = connection.execute(_ON_SQLITE if on_sqlite else _ON_POSTGRESQL, {"table": table}).all()
    for name, _ in found:
        connection.exec_driver_sql(f"DROP TRIGGER {name}" + ("" if on_sqlite else f" ON {table}"))
    yield
    for _, definition in found:
        connection.exec_driver_sql(definition)
