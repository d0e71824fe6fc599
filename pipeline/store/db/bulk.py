"""Statements that write many rows at once, with one interface for both databases.

SQLite gets the rows one by one. PostgreSQL gets all rows as one JSON parameter: one statement per batch, whatever its
size. Each statement is compiled once and passed to the driver directly, because SQLAlchemy's handling of every row
would cost as much as the database itself.
"""

from collections.abc import Callable, Collection, Sequence
from functools import lru_cache
from itertools import starmap
from operator import itemgetter
from typing import Any, NamedTuple

import msgspec
from sqlalchemy import (
    ARRAY,
    Column,
    ColumnElement,
    Connection,
    Delete,
    Dialect,
    FromClause,
    Insert,
    LargeBinary,
    Table,
    Text,
    and_,
    any_,
    bindparam,
    cast,
    column,
    func,
    literal,
    literal_column,
    select,
    tuple_,
)
from sqlalchemy.dialects import postgresql, sqlite

from pipeline.store.schema.types import Utc, utc_text

Row = dict[str, Any]
Rows = Sequence[Row] | Sequence[tuple[Any, ...]]  # tuples name their columns in the order of the call's `columns`


def insert(connection: Connection, table: Table, rows: Rows, columns: tuple[str, ...] = ()) -> None:
    """Insert rows. In this module, all rows of a call have the same columns."""
    _execute(connection, rows, columns, _inserting, table)


def insert_new(connection: Connection, table: Table, rows: Rows) -> None:
    """Insert rows; an existing row with the same primary key stays as it is."""
    _execute(connection, rows, (), _ignoring, table)


def insert_once(connection: Connection, table: Table, row: Row) -> bool:
    """Insert one row. False: the table has a row with its primary key already, which stays as it is."""
    dialect: Any = sqlite if connection.dialect.name == "sqlite" else postgresql
    first = next(iter(table.primary_key))
    statement = dialect.insert(table).values(row).on_conflict_do_nothing().returning(first)
    return connection.execute(statement).first() is not None


def upsert(
    connection: Connection,
    table: Table,
    rows: Rows,
    columns: tuple[str, ...] = (),
    newest: str | None = None,
    prefer: str | None = None,
) -> None:
    """Insert rows, or replace those with the same primary key.

    `newest` names a column: a row replaces another only if it is not older by that column. `prefer` names another
    column: a row with a value there counts as newer than any row without one.
    """
    _execute(connection, rows, columns, _replacing, table, newest, prefer)


def add(
    connection: Connection, table: Table, rows: Rows, amounts: tuple[str, ...], columns: tuple[str, ...] = ()
) -> None:
    """Insert rows, or add their `amounts` (columns) to the rows with the same primary key."""
    _execute(connection, rows, columns, _adding, table, amounts)


def remove(connection: Connection, table: Table, rows: Rows, columns: tuple[str, ...] = ()) -> None:
    """Delete the rows of the table that have exactly these values in these columns."""
    _execute(connection, rows, columns, _removing, table)


def among(connection: Connection, column: Column[Any], values: Collection[Any]) -> ColumnElement[bool]:
    """The condition that a column has one of these values. On PostgreSQL one statement serves any number of values."""
    if connection.dialect.name == "sqlite":
        return column.in_(values)
    return column == any_(literal(list(values), ARRAY(column.type)))


def among_rows(
    connection: Connection, columns: Sequence[Column[Any]], rows: Collection[tuple[Any, ...]]
) -> ColumnElement[bool]:
    """The condition that several columns of a table together equal one of these rows."""
    if connection.dialect.name == "sqlite":
        return tuple_(*columns).in_(rows)
    names = tuple(column.name for column in columns)
    given = _given(columns[0].table, names, literal(as_json(list(rows), names), Text()))
    return tuple_(*columns).in_(select(*given.c))


class _Compiled(NamedTuple):
    """A statement in the form that the driver needs."""

    text: str
    names: tuple[str, ...]  # of the parameters, in their order
    moments: list[int]  # indexes of the parameters that are instants and have to become text


_Build = Callable[..., Insert | Delete]
_encode = msgspec.json.Encoder().encode
_ROWS = "given_rows"
_PARAMETER = bindparam(_ROWS, type_=Text())


def _execute(
    connection: Connection, rows: Rows, columns: tuple[str, ...], build: _Build, table: Table, *how: Any
) -> None:
    if not rows:
        return
    named = columns or tuple(rows[0])
    compiled = _compile(connection.dialect, build, table, named, *how)
    if connection.dialect.name == "sqlite":
        connection.exec_driver_sql(compiled.text, _one_by_one(rows, columns, compiled))
    else:
        connection.exec_driver_sql(compiled.text, {_ROWS: as_json(rows, columns)})


def as_json(rows: Rows, columns: tuple[str, ...] = ()) -> str:
    """Rows in the form that `json_to_recordset` reads: instants with their offset, bytes in base64."""
    named = starmap(_row_of(columns), rows) if columns else rows
    return _encode([*named]).decode()


@lru_cache
def _row_of(columns: tuple[str, ...]) -> Callable[..., msgspec.Struct]:
    """A class for rows with these columns: a quarter of the time of a dictionary to create and encode."""
    return msgspec.defstruct("Row", [(f"{name}", object) for name in columns])


def _one_by_one(rows: Rows, columns: tuple[str, ...], compiled: _Compiled) -> list[Any]:
    wanted: Any = tuple(map(columns.index, compiled.names)) if columns else compiled.names
    values: list[Any] = list(rows) if columns == compiled.names else [*map(itemgetter(*wanted), rows)]
    if not compiled.moments:
        return values
    lists = [*map(list, values)]
    for index in compiled.moments:
        for row in lists:
            row[index] = utc_text(row[index])
    return [*map(tuple, lists)]


@lru_cache
def _compile(dialect: Dialect, build: _Build, table: Table, columns: tuple[str, ...], *how: Any) -> _Compiled:
    statement = build(sqlite if dialect.name == "sqlite" else postgresql, table, columns, *how)
    compiled = statement.compile(dialect=dialect, column_keys=list(columns))
    names = tuple(compiled.positiontup or columns)
    # Only instants on SQLite need a conversion before the driver.
    moments = [index for index, name in enumerate(names) if isinstance(table.c[name].type, Utc)]
    return _Compiled(str(compiled), names, moments)


def _given(table: Table, columns: tuple[str, ...], rows: ColumnElement[str]) -> FromClause:
    """The rows of the one parameter, with the types of the table's columns; bytes still as text in base64."""
    types = [(name, table.c[name].type) for name in columns]
    typed = [column(name, Text() if isinstance(kind, LargeBinary) else kind) for name, kind in types]
    records = func.json_to_recordset(cast(rows, postgresql.JSON))
    return records.table_valued(*typed).render_derived(name="given", with_types=True)


def _insert(dialect: Any, table: Table, columns: tuple[str, ...]) -> Any:
    statement = dialect.insert(table)
    if dialect is sqlite:
        return statement
    given = _given(table, columns, _PARAMETER)
    values = [
        func.decode(given.c[name], literal_column("'base64'"))
        if isinstance(table.c[name].type, LargeBinary)
        else given.c[name]
        for name in columns
    ]
    return statement.from_select(list(columns), select(*values))


def _inserting(dialect: Any, table: Table, columns: tuple[str, ...]) -> Insert:
    made: Insert = _insert(dialect, table, columns)
    return made


def _ignoring(dialect: Any, table: Table, columns: tuple[str, ...]) -> Insert:
    made: Insert = _insert(dialect, table, columns).on_conflict_do_nothing()
    return made


def _replacing(dialect: Any, table: Table, columns: tuple[str, ...], newest: str | None, prefer: str | None) -> Insert:
    statement = _insert(dialect, table, columns)
    keys = {key.name for key in table.primary_key}
    values = {name: statement.excluded[name] for name in columns if name not in keys}
    where = None if newest is None else _rank(statement.excluded, newest, prefer) >= _rank(table.c, newest, prefer)
    made: Insert = statement.on_conflict_do_update(index_elements=sorted(keys), set_=values, where=where)
    return made


def _rank(row: Any, newest: str, prefer: str | None) -> Any:
    """The value by which the newer of two rows with one key is found."""
    return row[newest] if prefer is None else tuple_(row[prefer].is_not(None), row[newest])


def _adding(dialect: Any, table: Table, columns: tuple[str, ...], amounts: tuple[str, ...]) -> Insert:
    statement = _insert(dialect, table, columns)
    keys = [key.name for key in table.primary_key]
    values = {name: table.c[name] + statement.excluded[name] for name in amounts}
    made: Insert = statement.on_conflict_do_update(index_elements=keys, set_=values)
    return made


def _removing(dialect: Any, table: Table, columns: tuple[str, ...]) -> Delete:
    given = None if dialect is sqlite else _given(table, columns, _PARAMETER)
    same = [table.c[name] == (bindparam(name) if given is None else given.c[name]) for name in columns]
    return table.delete().where(and_(*same))
