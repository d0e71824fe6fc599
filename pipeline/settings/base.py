"""What the settings of every subject share: how they are read, the types of values, and the error."""

from collections.abc import Iterator
from contextlib import contextmanager
from typing import Annotated, ClassVar

from pydantic import Field
from pydantic_settings import BaseSettings, PydanticBaseSettingsSource, SettingsConfigDict

from pipeline.errors import UserError
from pipeline.settings.renamed import RenamedVariables

PREFIX = "UNVARNISHED_"

Fraction = Annotated[float, Field(ge=0, le=1)]
Port = Annotated[int, Field(ge=0, le=65_535)]


class ConfigurationError(UserError, ValueError):
    """A setting or an argument has a value that cannot be used. The message is a sentence for the user."""


class SettingsGroup(BaseSettings):
    """The settings of one subject. Durations are in the unit their name ends with.

    Values come, in this order, from keyword arguments, the environment, and the environment under old names. An unknown
    keyword argument is an error.
    """

    model_config = SettingsConfigDict(env_prefix=PREFIX, extra="forbid", frozen=True)

    subject: ClassVar[str] = ""
    """The heading of this group in docs/settings.md."""

    @classmethod
    def settings_customise_sources(
        cls,
        settings_cls: type[BaseSettings],
        init_settings: PydanticBaseSettingsSource,
        env_settings: PydanticBaseSettingsSource,
        dotenv_settings: PydanticBaseSettingsSource,
        file_secret_settings: PydanticBaseSettingsSource,
    ) -> tuple[PydanticBaseSettingsSource, ...]:
        """The sources of values, the most important one first. Called by pydantic-settings."""
        return init_settings, env_settings, RenamedVariables(settings_cls)


@contextmanager
def data_dir_errors() -> Iterator[None]:
    """Report an OSError about the data folder as a ConfigurationError that names the setting."""
    try:
        yield
    except OSError as error:
        raise ConfigurationError(
            f"{error.filename}: {error.strerror}; choose another folder with {PREFIX}DATA_DIR"
        ) from None
