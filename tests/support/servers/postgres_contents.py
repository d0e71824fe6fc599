"""What a PostgreSQL database holds, as bytes to search: its rows, its files, and its write-ahead log."""

import psycopg
from psycopg import sql
from sqlalchemy import URL

from deploy.postgres.native import libpq_url


def rows_of_tables(database: URL) -> dict[str, bytes]:
    """The rows of every table, uncompressed."""
    tables = (
        "SELECT table_name FROM information_schema.tables WHERE table_schema = 'public' AND table_type LIKE 'BASE%'"
    )
    found = {}
    with psycopg.connect(libpq_url(database)) as connection:
        for (name,) in connection.execute(tables).fetchall():
            statement = sql.SQL("COPY {} TO STDOUT (FORMAT binary)").format(sql.Identifier(name))
            with connection.cursor() as cursor, cursor.copy(statement) as copied:
                found[name] = b"".join(bytes(part) for part in copied)
    return found


def files_of(database: URL, first_wal_file: str | None = None) -> dict[str, bytes]:
    """The files of tables and indexes after a checkpoint; with the write-ahead log from one of its files on, if named.

    Needs a superuser.
    """
    paths = "SELECT pg_relation_filepath(oid) FROM pg_class WHERE pg_relation_filepath(oid) IS NOT NULL"
    wal = "SELECT 'pg_wal/' || name FROM pg_ls_waldir() WHERE name >= %s AND name ~ '^[0-9A-F]{24}$'"
    with psycopg.connect(libpq_url(database), autocommit=True) as connection:
        connection.execute("CHECKPOINT")
        names = connection.execute(paths).fetchall()
        if first_wal_file is not None:
            names += connection.execute(wal, [first_wal_file]).fetchall()
        read = "SELECT pg_read_binary_file(%(name)s, 0, size, true) FROM pg_stat_file(%(name)s, true) WHERE size > 0"
        found = {name: connection.execute(read, {"name": name}).fetchone() for (name,) in names}
    return {name: row[0] for name, row in found.items() if row is not None and row[0] is not None}


def wal_file(database: URL) -> str:
    """The name of the file of the write-ahead log that is written now."""
    with psycopg.connect(libpq_url(database)) as connection:
        [name] = connection.execute("SELECT pg_walfile_name(pg_current_wal_lsn())").fetchone() or [""]
        return str(name)
