"""Where data and the master key are stored."""

import os
import secrets
from contextlib import suppress
from pathlib import Path
from tempfile import NamedTemporaryFile
from typing import ClassVar

from platformdirs import user_data_path
from pydantic import Field, SecretStr

from pipeline.settings.base import ConfigurationError, SettingsGroup, data_dir_errors

_KEY_FILE = "master.key"
_KEY_BYTES = 32


class StorageSettings(SettingsGroup):
    """The database, the data folder and the master key."""

    subject: ClassVar[str] = "Storage"

    database_url: SecretStr | None = Field(
        None, description="SQLAlchemy URL of the database. Without it, a SQLite file in the data folder"
    )
    data_dir: Path = Field(
        default_factory=lambda: user_data_path("unvarnished"),
        description="data folder: the SQLite file, the master key's file and the spool of provider calls",
    )
    master_key: SecretStr | None = Field(
        None,
        description="key that encrypts personal data: 32 bytes as 64 hexadecimal digits. Without it, a key is "
        "generated and kept in a file in the data folder",
    )
    batch_size: int = Field(
        5_000, ge=1, le=20_000, description="events stored and processed in one transaction, in embedded mode"
    )

    dead_letter_retention_days: float = Field(
        90, ge=1, le=36_500, description="days after which a dead letter is deleted from the database"
    )
    handled_retention_days: float = Field(
        30,
        ge=1,
        le=36_500,
        description="days for which a cluster remembers that it has handled an event. Must be at least twice "
        "UNVARNISHED_KAFKA_INPUT_RETENTION_HOURS: an event that a worker reads again later would count twice",
    )

    unmatched_text_retention_days: float = Field(
        365,
        ge=1,
        le=36_500,
        description="days after which texts of a number that was never asked become unreadable, from its newest on",
    )
    person_retention_days: float | None = Field(
        None,
        ge=30,
        le=36_500,
        description="days after which a contact whom no event names any more is erased: name, addresses and words. "
        "Without it, contacts are kept until they are erased on request",
    )

    @property
    def url(self) -> str:
        """The database's SQLAlchemy URL, password included: never print it."""
        if self.database_url is not None:
            return self.database_url.get_secret_value()
        return f"sqlite:///{self.data_dir / 'unvarnished.db'}"

    @property
    def key_file(self) -> Path:
        """The file of the master key if none is set."""
        return self.data_dir / _KEY_FILE

    def master(self) -> bytes:
        """The master key. If none is set, it is generated once, in a file that only its owner can read.

        Raises ConfigurationError if the key is malformed, or if its file cannot be read or created.
        """
        if self.master_key is not None:
            return _parse_key(self.master_key.get_secret_value(), "UNVARNISHED_MASTER_KEY")
        with data_dir_errors():
            if not self.key_file.exists():
                _create_key_file(self.key_file)
            text = self.key_file.read_text()
        return _parse_key(text, str(self.key_file))


def _create_key_file(path: Path) -> None:
    """Create the file whole or not at all. If another process creates it at the same time, the first file stays."""
    path.parent.mkdir(parents=True, exist_ok=True)
    with NamedTemporaryFile("w", dir=path.parent) as file:  # mode 0600 from the start
        file.write(secrets.token_hex(_KEY_BYTES))
        file.flush()
        os.fsync(file.fileno())
        with suppress(FileExistsError):
            os.link(file.name, path)


def _parse_key(text: str, origin: str) -> bytes:
    try:
        key = bytes.fromhex(text.strip())
    except ValueError:
        key = b""
    if len(key) != _KEY_BYTES:
        raise ConfigurationError(f"{origin} must contain 64 hexadecimal digits (32 bytes)")
    return key
