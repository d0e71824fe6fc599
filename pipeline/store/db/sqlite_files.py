"""Notices when SQLite's file or its write-ahead log is deleted or replaced while it is open.

A process goes on writing to a deleted file, commits included, and all of it is gone when the process ends.
"""

import os
import sqlite3
from pathlib import Path

LOST = "the database file or its write-ahead log was deleted or replaced while it is in use; restore it and restart"

_Identity = tuple[int, int] | None  # device and inode; None: there is no such file


class DatabaseFileLost(sqlite3.OperationalError):
    """What would be written now would be lost. It stays so until the process is restarted."""

    def __init__(self) -> None:
        super().__init__(LOST)


class SqliteFiles:
    """The files of one database, as they were when the first of the open connections opened them."""

    def __init__(self, path: Path) -> None:
        self._path = path
        self._wal_path = path.with_name(f"{path.name}-wal")
        self._database = _identity(path)
        self._wal: _Identity = None
        self._open = 0
        self._lost = False

    def check(self) -> None:
        """Raises DatabaseFileLost if a commit would go to files that are no longer there."""
        if _identity(self._path) != self._database or (self._open and _identity(self._wal_path) != self._wal):
            self._lost = True
        if self._lost:
            raise DatabaseFileLost

    def opened(self) -> None:
        """Note that a connection has opened the log, which the first one may have created."""
        if not self._open:
            self._wal = _identity(self._wal_path)
        self._open += 1

    def closed(self) -> None:
        """Note that a connection is closed; the last one may remove the log."""
        self._open -= 1


def _identity(path: Path) -> _Identity:
    try:
        found = os.stat(path)
    except OSError:
        return None
    return found.st_dev, found.st_ino
