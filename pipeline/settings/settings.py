"""All subjects in one class: what the composition root reads once and hands on."""

import os
from typing import Self

from pydantic import model_validator

from pipeline.settings.access import AccessSettings
from pipeline.settings.alerting.cases import CaseSettings
from pipeline.settings.alerting.monitoring import MonitoringSettings
from pipeline.settings.alerting.receivers import ReceiverSettings
from pipeline.settings.asking import AskingSettings
from pipeline.settings.base import PREFIX, SettingsGroup
from pipeline.settings.channels.mail import MailSettings
from pipeline.settings.channels.twilio import TwilioSettings
from pipeline.settings.company import CompanySettings
from pipeline.settings.detection import DetectionSettings
from pipeline.settings.http import HttpSettings
from pipeline.settings.intake import IntakeSettings
from pipeline.settings.kafka import KafkaSettings
from pipeline.settings.logging import LoggingSettings
from pipeline.settings.pages.accounts import AccountSettings
from pipeline.settings.pages.digest import DigestSettings
from pipeline.settings.renamed import OLD_NAMES
from pipeline.settings.roles import RoleSettings
from pipeline.settings.sending import SendingSettings
from pipeline.settings.storage import StorageSettings
from pipeline.settings.unknown import misspelt


class Settings(
    StorageSettings,
    CompanySettings,
    AskingSettings,
    SendingSettings,
    TwilioSettings,
    MailSettings,
    DetectionSettings,
    CaseSettings,
    AccountSettings,
    ReceiverSettings,
    DigestSettings,
    MonitoringSettings,
    HttpSettings,
    AccessSettings,
    IntakeSettings,
    KafkaSettings,
    RoleSettings,
    LoggingSettings,
):
    """Every setting of this installation, read from `UNVARNISHED_*` variables."""

    @model_validator(mode="after")
    def _check_spelling(self) -> Self:
        names = {*type(self).model_fields, *OLD_NAMES.values()}
        wrong = misspelt(os.environ, names, PREFIX)
        if wrong:
            raise ValueError("; ".join(wrong))
        return self

    @model_validator(mode="after")
    def _check_retention(self) -> Self:
        if self.uses_kafka and self.handled_retention_days * 24 < 2 * self.kafka_input_retention_hours:
            raise ValueError(
                "UNVARNISHED_HANDLED_RETENTION_DAYS must be at least twice UNVARNISHED_KAFKA_INPUT_RETENTION_HOURS"
            )
        return self

    def with_defaults(self, **defaults: object) -> Self:
        """A copy in which `defaults` replace the values of settings that are not set."""
        return self.model_copy(
            update={name: value for name, value in defaults.items() if name not in self.model_fields_set}
        )


GROUPS: tuple[type[SettingsGroup], ...] = tuple(base for base in Settings.__bases__ if issubclass(base, SettingsGroup))
"""The subjects, in the order of docs/settings.md."""
