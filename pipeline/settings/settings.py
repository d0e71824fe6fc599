"""All subjects in one class: what the composition root reads once and hands on."""

from typing import Self

from pipeline.settings.asking import AskingSettings
from pipeline.settings.base import SettingsGroup
from pipeline.settings.channels.twilio import TwilioSettings
from pipeline.settings.detection import DetectionSettings
from pipeline.settings.http import HttpSettings
from pipeline.settings.intake import IntakeSettings
from pipeline.settings.kafka import KafkaSettings
from pipeline.settings.logging import LoggingSettings
from pipeline.settings.roles import RoleSettings
from pipeline.settings.sending import SendingSettings
from pipeline.settings.storage import StorageSettings


class Settings(
    StorageSettings,
    AskingSettings,
    SendingSettings,
    TwilioSettings,
    DetectionSettings,
    HttpSettings,
    IntakeSettings,
    KafkaSettings,
    RoleSettings,
    LoggingSettings,
):
    """Every setting of this installation, read from `UNVARNISHED_*` variables."""

    def with_defaults(self, **defaults: object) -> Self:
        """A copy in which `defaults` replace the values of settings that are not set."""
        return self.model_copy(
            update={name: value for name, value in defaults.items() if name not in self.model_fields_set}
        )


GROUPS: tuple[type[SettingsGroup], ...] = tuple(base for base in Settings.__bases__ if issubclass(base, SettingsGroup))
"""The subjects, in the order of docs/settings.md."""
