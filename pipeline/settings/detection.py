"""What is watched for divergence, and how many false alerts are acceptable."""

from typing import ClassVar

from pydantic import Field, field_validator

from pipeline.domain.detection.segments import parse_levels
from pipeline.settings.base import SettingsGroup

DEFAULT_SEGMENT_LEVELS = "region:20,depot:50,carrier:20,depot+tier:200"


class DetectionSettings(SettingsGroup):
    """Segments and the budget of false alerts. The first start stores both in the database."""

    subject: ClassVar[str] = "Detection"

    segment_levels: str | None = Field(
        None,
        description="segments to watch, as DIMENSION:CAPACITY,... where CAPACITY is the expected number of segments. "
        f"Read at the first start only; later see levels.md. Without it, {DEFAULT_SEGMENT_LEVELS}",
    )
    false_alerts_per_year: float = Field(
        1.0,
        gt=0,
        description="acceptable number of false divergence alerts a year for all segments together, per signal",
    )

    @field_validator("segment_levels")
    @classmethod
    def _parse_levels(cls, value: str | None) -> str | None:
        if value is not None:
            parse_levels(value)
        return value
