"""Which failures pass by themselves, those of the database and a suspect clock, and what they are called."""

import sqlite3

from sqlalchemy.exc import DBAPIError, OperationalError
from sqlalchemy.exc import TimeoutError as PoolTimeout

from pipeline.errors import ClockSuspect
from pipeline.store.db.sqlite_files import LOST, DatabaseFileLost

_READ_ONLY = "25006"  # SQLSTATE: the server was demoted to a standby, or an administrator made it read-only
_DISK_FULL = "53100"
# SQLite reports a bug in a statement as an OperationalError, too; its code is SQLITE_ERROR.
_PASSING = frozenset(
    {
        sqlite3.SQLITE_BUSY,
        sqlite3.SQLITE_LOCKED,
        sqlite3.SQLITE_NOMEM,
        sqlite3.SQLITE_READONLY,
        sqlite3.SQLITE_INTERRUPT,
        sqlite3.SQLITE_IOERR,
        sqlite3.SQLITE_FULL,
        sqlite3.SQLITE_CANTOPEN,
        sqlite3.SQLITE_PROTOCOL,
    }
)


def is_transient(error: BaseException) -> bool:
    """Whether a retry may succeed: after a lock timeout, a lost connection, an exhausted pool, a full disk, while the
    database is read-only or this machine's clock is suspect.
    """
    if isinstance(error, PoolTimeout | ClockSuspect):
        return True
    if not isinstance(error, DBAPIError):
        return False
    if error.connection_invalidated or _sqlstate(error) == _READ_ONLY:
        return True
    code = _sqlite_code(error)
    return isinstance(error, OperationalError) and (code is None or code in _PASSING)


def is_read_only(error: BaseException | None) -> bool:
    """Whether PostgreSQL refused a write because it is read-only."""
    return getattr(error, "sqlstate", None) == _READ_ONLY


def reason_of(error: BaseException) -> str:
    """Why nothing can be written, without anything that the database's message may contain."""
    if isinstance(error, ClockSuspect):
        return str(error)
    cause = error.orig if isinstance(error, DBAPIError) else error
    if isinstance(cause, DatabaseFileLost):
        return LOST
    code = _sqlite_code(error)
    if _sqlstate(error) == _DISK_FULL or code == sqlite3.SQLITE_FULL:
        return "the disk of the database is full"
    if _sqlstate(error) == _READ_ONLY or code == sqlite3.SQLITE_READONLY:
        return "the database is read-only"
    return "the database does not respond"


def _sqlstate(error: BaseException) -> str | None:
    return getattr(getattr(error, "orig", None), "sqlstate", None)


def _sqlite_code(error: BaseException) -> int | None:
    """SQLite's primary result code; None for other databases, and where the driver has none."""
    code: int | None = getattr(getattr(error, "orig", None), "sqlite_errorcode", None)
    return None if code is None else code & 0xFF
