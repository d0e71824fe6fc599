"""What was acknowledged while the database was away: one sealed file each, on disk before anybody is told so."""

import os
import threading
from datetime import datetime
from pathlib import Path
from tempfile import mkstemp

from pipeline import metrics
from pipeline.settings import Unusable
from pipeline.store.people.vault import Vault

_SUFFIX = ".call"
_BLOCK = 4_096  # bytes of disk that the smallest file takes


class Full(Exception):
    """More waits than the spool may hold."""


class Spool:
    """A folder of files named by when something was received and by its key, the oldest first.

    One process has it at a time. What an earlier one left is waiting, also what that had set aside.
    """

    def __init__(self, folder: Path, vault: Vault, most_bytes: int) -> None:
        """Raises Unusable if the folder cannot be made or read."""
        self._folder = folder
        self._vault = vault
        self._most_bytes = most_bytes
        self._lock = threading.Lock()
        self._waiting: dict[str, str] = {}  # key -> file name
        self._aside: dict[str, str] = {}
        self._bytes = 0
        try:
            self._open()
        except OSError as error:
            raise Unusable(f"calls of the provider cannot be kept in {folder}: {error.strerror or error}") from None
        self._tell()

    @property
    def empty(self) -> bool:
        """Whether nothing waits."""
        return not self._waiting

    def waiting(self) -> list[str]:
        """The keys of what waits, oldest first."""
        with self._lock:
            return sorted(self._waiting, key=self._waiting.__getitem__)

    def put(self, key: str, received_at: datetime, plain: bytes) -> None:
        """Keep something; it is on disk when this returns. A key that is held already is kept once.

        Raises Full, or OSError where the disk is; then nothing may be acknowledged.
        """
        sealed = self._vault.seal_letter(plain)
        name = f"{received_at:%Y%m%dT%H%M%S.%f}-{key}{_SUFFIX}"
        with self._lock:
            if key in self._waiting or key in self._aside:
                return
            if self._bytes + _on_disk(len(sealed)) > self._most_bytes:
                raise Full(f"{self._bytes} bytes wait to be written to the database")
            self._write(name, sealed)
            self._waiting[key] = name
            self._bytes += _on_disk(len(sealed))
            self._tell()

    def read(self, key: str) -> bytes:
        """What waits under a key. Raises OSError, or Sealed where it was altered or sealed with another master key."""
        return self._vault.open_letter((self._folder / self._waiting[key]).read_bytes())

    def remove(self, key: str) -> None:
        """It is in the database now. Raises OSError."""
        path = self._folder / self._waiting[key]
        size = path.stat().st_size
        path.unlink()
        with self._lock:
            del self._waiting[key]
            self._bytes -= _on_disk(size)
            self._tell()

    def set_aside(self, key: str) -> None:
        """It cannot be taken now: it stays on disk until the next start, and stands in nobody's way."""
        with self._lock:
            self._aside[key] = self._waiting.pop(key)
            self._tell()

    def _open(self) -> None:
        self._folder.mkdir(mode=0o700, parents=True, exist_ok=True)
        _sync(self._folder.parent)
        for path in self._folder.iterdir():
            if path.suffix == _SUFFIX:
                self._waiting[path.stem.partition("-")[2]] = path.name
                self._bytes += _on_disk(path.stat().st_size)
            else:
                path.unlink()  # begun, and never acknowledged

    def _write(self, name: str, sealed: bytes) -> None:
        number, begun = mkstemp(dir=self._folder)  # 0600
        try:
            with open(number, "wb") as file:
                file.write(sealed)
                file.flush()
                os.fsync(number)
            os.link(begun, self._folder / name)  # it appears whole or not at all
        finally:
            os.unlink(begun)
        _sync(self._folder)

    def _tell(self) -> None:
        metrics.SPOOLED.labels("waiting").set(len(self._waiting))
        metrics.SPOOLED.labels("set_aside").set(len(self._aside))


def _on_disk(size: int) -> int:
    return -(-size // _BLOCK) * _BLOCK


def _sync(folder: Path) -> None:
    """Have the folder's own entries on disk."""
    number = os.open(folder, os.O_RDONLY)
    try:
        os.fsync(number)
    finally:
        os.close(number)
