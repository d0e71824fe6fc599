"""Writing many rows with one statement, the same on both databases.

Each statement is compiled once and its rows go to the driver as they are: SQLAlchemy's own handling of every row would
cost as much again as the database.
"""

from collections.abc import Callable, Sequence
from functools import lru_cache
from operator import itemgetter
from typing import Any, NamedTuple

from sqlalchemy import Connection, Dialect, Insert, Table
from sqlalchemy.dialects import postgresql, sqlite

from pipeline.store.tables import Utc, utc_text

Row = dict[str, Any]
Rows = Sequence[Row] | Sequence[tuple[Any, ...]]  # tuples name their columns in the order of the call's `columns`


def insert(connection: Connection, table: Table, rows: Rows, columns: tuple[str, ...] = ()) -> None:
    """Insert rows. Here and below every row of a call names the same columns."""
    _execute(connection, rows, columns, _inserting, table)


def insert_new(connection: Connection, table: Table, rows: Rows) -> None:
    """Insert rows; one that is there already stays as it is."""
    _execute(connection, rows, (), _ignoring, table)


def upsert(
    connection: Connection, table: Table, rows: Rows, columns: tuple[str, ...] = (), newest: str | None = None
) -> None:
    """Insert rows, or replace those of the same primary key.

    With `newest`, a column, a row replaces another only if it is not older by that column.
    """
    _execute(connection, rows, columns, _replacing, table, newest)


def add(
    connection: Connection, table: Table, rows: Rows, amounts: tuple[str, ...], columns: tuple[str, ...] = ()
) -> None:
    """Insert rows, or add their `amounts` to those of the same primary key."""
    _execute(connection, rows, columns, _adding, table, amounts)


class _Compiled(NamedTuple):
    """A statement as the driver wants it."""

    text: str
    names: tuple[str, ...]  # of the parameters, in the order of their places
    moments: list[int]  # places of instants that have to become text
    by_name: bool


_Build = Callable[..., Insert]


def _execute(
    connection: Connection, rows: Rows, columns: tuple[str, ...], build: _Build, table: Table, *how: Any
) -> None:
    if not rows:
        return
    named = columns or tuple(rows[0])
    compiled = _compile(connection.dialect, build, table, named, *how)
    values: list[Any] = list(rows) if named == compiled.names and columns else _ordered(rows, columns, compiled)
    if compiled.moments:
        lists = [*map(list, values)]
        for place in compiled.moments:
            for row in lists:
                row[place] = utc_text(row[place])
        values = [*map(tuple, lists)]
    if compiled.by_name:
        values = [dict(zip(compiled.names, row, strict=True)) for row in values]
    connection.exec_driver_sql(compiled.text, values)


def _ordered(rows: Rows, columns: tuple[str, ...], compiled: _Compiled) -> list[tuple[Any, ...]]:
    wanted: Any = tuple(map(columns.index, compiled.names)) if columns else compiled.names
    return [*map(itemgetter(*wanted), rows)]


@lru_cache
def _compile(dialect: Dialect, build: _Build, table: Table, columns: tuple[str, ...], *how: Any) -> _Compiled:
    statement = build(sqlite if dialect.name == "sqlite" else postgresql, table, columns, *how)
    compiled = statement.compile(dialect=dialect, column_keys=list(columns))
    names = tuple(compiled.positiontup or columns)
    # Instants on SQLite are all that the drivers do not take as they are.
    moments = [place for place, name in enumerate(names) if isinstance(table.c[name].type, Utc)]
    return _Compiled(str(compiled), names, moments if dialect.name == "sqlite" else [], not compiled.positional)


def _inserting(dialect: Any, table: Table, _columns: tuple[str, ...]) -> Insert:
    made: Insert = dialect.insert(table)
    return made


def _ignoring(dialect: Any, table: Table, _columns: tuple[str, ...]) -> Insert:
    made: Insert = dialect.insert(table).on_conflict_do_nothing()
    return made


def _replacing(dialect: Any, table: Table, columns: tuple[str, ...], newest: str | None) -> Insert:
    statement = dialect.insert(table)
    keys = {column.name for column in table.primary_key}
    values = {name: statement.excluded[name] for name in columns if name not in keys}
    where = None if newest is None else statement.excluded[newest] >= table.c[newest]
    made: Insert = statement.on_conflict_do_update(index_elements=sorted(keys), set_=values, where=where)
    return made


def _adding(dialect: Any, table: Table, _columns: tuple[str, ...], amounts: tuple[str, ...]) -> Insert:
    statement = dialect.insert(table)
    keys = [column.name for column in table.primary_key]
    values = {name: table.c[name] + statement.excluded[name] for name in amounts}
    made: Insert = statement.on_conflict_do_update(index_elements=keys, set_=values)
    return made
