"""What the processes log."""

from typing import ClassVar, Literal

from pydantic import Field

from pipeline.settings.base import SettingsGroup


class LoggingSettings(SettingsGroup):
    """The level of the logs."""

    subject: ClassVar[str] = "Logging (cluster mode)"

    log_level: Literal["debug", "info", "warning"] = Field(
        "info",
        description="lowest level that a cluster's processes log: debug (with each event's id), info or warning",
    )
