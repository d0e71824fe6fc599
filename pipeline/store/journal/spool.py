"""The spool: calls of a provider that were acknowledged while the database was unavailable.

Each is one sealed file, on disk before the call is acknowledged.
"""

import os
import threading
from datetime import datetime
from pathlib import Path
from tempfile import mkstemp

from pipeline import metrics
from pipeline.settings import ConfigurationError
from pipeline.store.people.vault import Vault

_SUFFIX = ".call"
_BLOCK = 4_096  # bytes of disk that the smallest file uses


class SpoolFull(Exception):
    """The spool has reached its limit."""


class Spool:
    """A folder of files, named by time of receipt and key, so that they sort by age.

    One process uses it at a time. Files of an earlier process are waiting, even if that process had set them aside.
    """

    def __init__(self, folder: Path, vault: Vault, max_bytes: int) -> None:
        """Raises ConfigurationError if the folder cannot be created or read."""
        self._folder = folder
        self._vault = vault
        self._max_bytes = max_bytes
        self._lock = threading.Lock()
        self._waiting: dict[str, str] = {}  # key -> file name
        self._aside: dict[str, str] = {}
        self._bytes = 0
        try:
            self._open()
        except OSError as error:
            raise ConfigurationError(
                f"calls of the provider cannot be stored in {folder}: {error.strerror or error}"
            ) from None
        self._record_metrics()

    @property
    def empty(self) -> bool:
        """Whether no file waits."""
        return not self._waiting

    def waiting(self) -> list[str]:
        """The keys of the files that wait, oldest first."""
        with self._lock:
            return sorted(self._waiting, key=self._waiting.__getitem__)

    def put(self, key: str, received_at: datetime, plain: bytes) -> None:
        """Store bytes under a key, unless the key is in use. They are on disk when this returns.

        Raises SpoolFull, or OSError if the disk fails. The call must not be acknowledged then.
        """
        sealed = self._vault.seal_bytes(plain)
        name = f"{received_at:%Y%m%dT%H%M%S.%f}-{key}{_SUFFIX}"
        with self._lock:
            if key in self._waiting or key in self._aside:
                return
            if self._bytes + _on_disk(len(sealed)) > self._max_bytes:
                raise SpoolFull(f"{self._bytes} bytes wait to be written to the database")
            self._write(name, sealed)
            self._waiting[key] = name
            self._bytes += _on_disk(len(sealed))
            self._record_metrics()

    def read(self, key: str) -> bytes:
        """The bytes stored under a key. Raises OSError or UnsealError."""
        return self._vault.open_bytes((self._folder / self._waiting[key]).read_bytes())

    def remove(self, key: str) -> None:
        """Delete a file whose content is in the database now. Raises OSError."""
        path = self._folder / self._waiting[key]
        size = path.stat().st_size
        path.unlink()
        with self._lock:
            del self._waiting[key]
            self._bytes -= _on_disk(size)
            self._record_metrics()

    def set_aside(self, key: str) -> None:
        """Skip a file that cannot be processed: it stays on disk and waits again after the next start."""
        with self._lock:
            self._aside[key] = self._waiting.pop(key)
            self._record_metrics()

    def _open(self) -> None:
        self._folder.mkdir(mode=0o700, parents=True, exist_ok=True)
        _sync(self._folder.parent)
        for path in self._folder.iterdir():
            if path.suffix == _SUFFIX:
                self._waiting[path.stem.partition("-")[2]] = path.name
                self._bytes += _on_disk(path.stat().st_size)
            else:
                path.unlink()  # incomplete, so its call was never acknowledged

    def _write(self, name: str, sealed: bytes) -> None:
        descriptor, incomplete = mkstemp(dir=self._folder)  # 0600
        try:
            with open(descriptor, "wb") as file:
                file.write(sealed)
                file.flush()
                os.fsync(descriptor)
            os.link(incomplete, self._folder / name)  # the name appears when the file is complete, or not at all
        finally:
            os.unlink(incomplete)
        _sync(self._folder)

    def _record_metrics(self) -> None:
        metrics.SPOOLED.labels("waiting").set(len(self._waiting))
        metrics.SPOOLED.labels("set_aside").set(len(self._aside))


def _on_disk(size: int) -> int:
    return -(-size // _BLOCK) * _BLOCK


def _sync(folder: Path) -> None:
    """Write the folder's own entries to disk."""
    descriptor = os.open(folder, os.O_RDONLY)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)
