"""What `/metrics` shows of the figures."""

from typing import ClassVar

from pydantic import Field, field_validator

from pipeline.settings.base import SettingsGroup

_NEVER = ("account", "contact", "order")


class MonitoringSettings(SettingsGroup):
    """Figures of segments in the metrics. Each segment is a time series in Prometheus."""

    subject: ClassVar[str] = "Metrics"

    metric_levels: str = Field(
        "",
        description="segment levels whose figures are metrics, separated by commas, as in region,depot. By default "
        "none. Accounts, contacts and orders never are",
    )
    metric_segments: int = Field(
        50,
        ge=1,
        le=1_000,
        description="maximum number of segments of a level with metrics of their own, the largest first. The rest are "
        "one series, `other`",
    )

    @field_validator("metric_levels")
    @classmethod
    def _check_levels(cls, value: str) -> str:
        for level in _levels(value):
            if any(part in _NEVER for part in level.split("+")):
                raise ValueError(f"{level} cannot be a level: metrics are never per account, contact or order")
        return value

    @property
    def measured_levels(self) -> tuple[str, ...]:
        """The levels of `metric_levels`."""
        return _levels(self.metric_levels)


def _levels(text: str) -> tuple[str, ...]:
    return tuple(dict.fromkeys(level.strip() for level in text.split(",") if level.strip()))
