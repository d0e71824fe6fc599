"""Tries whether something can be written to the database now."""

import errno
import os
import sqlite3
from pathlib import Path
from tempfile import TemporaryFile

from sqlalchemy import Engine
from sqlalchemy.exc import OperationalError

from pipeline.store.db.engine import LOCK_SECONDS
from pipeline.store.schema.journal import state

_NAME = "write probe"
_ROOM = 1 << 20  # bytes that must be free: a small write still succeeds in the space that the log reuses
_LOCK_SECONDS = 0.5


def try_write(engine: Engine) -> None:
    """Write a row and commit, and leave nothing behind. Raises SQLAlchemyError if that fails.

    While another transaction holds SQLite's lock there is nothing to try: something is being written.
    """
    if engine.dialect.name == "sqlite" and engine.url.database:
        _try_room(Path(engine.url.database).parent)
    try:
        with engine.connect().execution_options(**{LOCK_SECONDS: _LOCK_SECONDS}) as connection, connection.begin():
            connection.execute(state.delete().where(state.c.name == _NAME))
            connection.execute(state.insert().values(name=_NAME, value=""))
            connection.execute(state.delete().where(state.c.name == _NAME))
    except OperationalError as error:
        if getattr(error.orig, "sqlite_errorcode", None) != sqlite3.SQLITE_BUSY:
            raise


def _try_room(folder: Path) -> None:
    """Raises OperationalError if the disk has no room, or cannot be written to."""
    try:
        with TemporaryFile(dir=folder) as file:
            if hasattr(os, "posix_fallocate"):
                os.posix_fallocate(file.fileno(), 0, _ROOM)
            else:
                file.truncate(_ROOM)
    except FileNotFoundError:
        return  # the folder is gone: the connection says so
    except OSError as error:
        raise OperationalError("probe", None, _as_sqlite(error)) from None


def _as_sqlite(error: OSError) -> sqlite3.OperationalError:
    made = sqlite3.OperationalError(error.strerror)
    codes = {
        errno.ENOSPC: sqlite3.SQLITE_FULL,
        errno.EDQUOT: sqlite3.SQLITE_FULL,
        errno.EROFS: sqlite3.SQLITE_READONLY,
        errno.EACCES: sqlite3.SQLITE_READONLY,
    }
    made.sqlite_errorcode = codes.get(error.errno or 0, sqlite3.SQLITE_IOERR)
    return made
