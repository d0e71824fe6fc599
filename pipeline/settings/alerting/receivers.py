"""Where incidents are sent."""

from pathlib import Path
from typing import ClassVar

from pydantic import Field

from pipeline.settings.base import SettingsGroup


class ReceiverSettings(SettingsGroup):
    """The receivers of incidents and the routes to them, in one file."""

    subject: ClassVar[str] = "Receivers"

    receivers_file: Path | None = Field(
        None,
        description="TOML file with the receivers of incidents and the routes to them (docs/receivers.md). Without it, "
        "incidents are on the pages and the topic `alerts` only",
    )
    receiver_concurrency: int = Field(
        8, ge=1, le=64, description="maximum number of notices that are sent to one receiver simultaneously"
    )
    receiver_retention_days: float = Field(
        90, ge=1, le=36_500, description="days after which finished notices to receivers are deleted from the database"
    )
