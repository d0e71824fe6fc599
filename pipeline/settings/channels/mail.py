"""The mail server, for every part that sends e-mail."""

from typing import ClassVar

from pydantic import Field, SecretStr

from pipeline.settings.base import SettingsGroup


class MailSettings(SettingsGroup):
    """The server that takes e-mail, and the sender of the messages."""

    subject: ClassVar[str] = "E-mail"

    smtp_url: SecretStr | None = Field(
        None,
        description="mail server, as smtp://USER:PASSWORD@HOST:587 (STARTTLS), smtps://... (TLS) or "
        "smtp://HOST:25?tls=none",
    )
    mail_from: str | None = Field(
        None, description="address that e-mail is sent from, as in Quality <quality@example.com>"
    )
