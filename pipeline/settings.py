"""Every setting, read from `UNVARNISHED_*` variables."""

import os
import secrets
from contextlib import suppress
from datetime import timedelta
from pathlib import Path
from tempfile import NamedTemporaryFile
from typing import Annotated, get_args

from platformdirs import user_data_path
from pydantic import Field, SecretStr, field_validator
from pydantic_settings import BaseSettings, NoDecode, SettingsConfigDict

from pipeline.domain.eligibility import Policy
from pipeline.domain.events import Role
from pipeline.domain.segments import parse_levels

DEFAULT_LEVELS = "region:20,depot:50,carrier:20"
_KEY_FILE = "master.key"
_Fraction = Annotated[float, Field(ge=0, le=1)]


class BadKey(Exception):
    """The master key is not one: a sentence that names where it came from."""


class Settings(BaseSettings):
    """What this installation is told. Durations are in the unit their name ends with."""

    model_config = SettingsConfigDict(env_prefix="UNVARNISHED_", extra="ignore", frozen=True)

    database_url: SecretStr | None = Field(None, description="SQLAlchemy URL; without it a SQLite file in data_dir")
    data_dir: Path = Field(
        default_factory=lambda: user_data_path("unvarnished"),
        description="where the file and the key are kept",
    )
    master_key: SecretStr | None = Field(
        None,
        description="32 bytes in hexadecimal that personal data is sealed with; without it a file in data_dir",
    )
    levels: str | None = Field(
        None, description=f"segments to watch, DIMENSION:CAPACITY,...; by default {DEFAULT_LEVELS}"
    )
    alerts_a_year: float = Field(1.0, gt=0, description="false divergence alerts a year the fleet can bear, per signal")
    batch: int = Field(5_000, ge=1, le=20_000, description="events a transaction")
    ask_roles: Annotated[frozenset[Role], NoDecode] = Field(
        frozenset({"receiver", "user", "purchaser"}), description="roles that are asked, separated by commas"
    )
    contact_rest_days: float = Field(7, ge=0, description="days between two questions to one contact")
    account_cap: int = Field(10, ge=1, description="questions to one account in account_period_days")
    account_period_days: float = Field(7, gt=0, description="the period of account_cap")
    sample_rate: _Fraction = Field(1.0, description="share of contacts that are asked")
    probe_after_hours: float = Field(
        24, ge=0, description="hours after the first promise until a missing scan is asked about"
    )
    answer_within_days: float = Field(14, gt=0, description="days until a question expires")

    @field_validator("levels")
    @classmethod
    def _readable(cls, value: str | None) -> str | None:
        if value is not None:
            parse_levels(value)
        return value

    @field_validator("ask_roles", mode="before")
    @classmethod
    def _split(cls, value: object) -> object:
        if not isinstance(value, str):
            return value
        roles = frozenset(filter(None, (item.strip() for item in value.split(","))))
        unknown = roles - set(get_args(Role))
        if unknown:
            raise ValueError(f"unknown roles {sorted(unknown)}; known are {', '.join(get_args(Role))}")
        return roles

    @property
    def url(self) -> str:
        """The database's SQLAlchemy URL, password included: never to be printed."""
        if self.database_url is not None:
            return self.database_url.get_secret_value()
        return f"sqlite:///{self.data_dir / 'unvarnished.db'}"

    @property
    def policy(self) -> Policy:
        """How much a customer may be asked."""
        return Policy(
            roles=self.ask_roles,
            contact_rest=timedelta(days=self.contact_rest_days),
            account_cap=self.account_cap,
            account_period=timedelta(days=self.account_period_days),
            sample_rate=self.sample_rate,
            probe_after=timedelta(hours=self.probe_after_hours),
            answer_within=timedelta(days=self.answer_within_days),
        )

    def master(self) -> bytes:
        """The master key, made and kept in a file that only its owner can read if none was given.

        Raises BadKey if what is given is none.
        """
        if self.master_key is not None:
            return _key(self.master_key.get_secret_value(), "UNVARNISHED_MASTER_KEY")
        path = self.data_dir / _KEY_FILE
        if not path.exists():
            _make_key(path)
        return _key(path.read_text(), str(path))


def _make_key(path: Path) -> None:
    """Make a key file that appears whole or not at all; another process may be making it too, the first one stands."""
    path.parent.mkdir(parents=True, exist_ok=True)
    with NamedTemporaryFile("w", dir=path.parent) as file:  # 0600 from the start
        file.write(secrets.token_hex(32))
        file.flush()
        os.fsync(file.fileno())
        with suppress(FileExistsError):
            os.link(file.name, path)


def _key(text: str, origin: str) -> bytes:
    try:
        key = bytes.fromhex(text.strip())
    except ValueError:
        key = b""
    if len(key) != 32:
        raise BadKey(f"{origin} must hold 64 hexadecimal digits (32 bytes)")
    return key
