"""The mail server, and the e-mails that go through it."""

from typing import ClassVar, Literal

from pydantic import Field, SecretStr

from pipeline.settings.base import SettingsGroup


class MailSettings(SettingsGroup):
    """Server, sender and reports of e-mail."""

    subject: ClassVar[str] = "E-mail"

    smtp_host: str | None = Field(None, description="host name of the SMTP server that e-mails are handed to")
    smtp_port: int = Field(587, ge=1, le=65_535, description="port of the SMTP server")
    smtp_security: Literal["starttls", "tls", "none"] = Field(
        "starttls",
        description="encryption of the connection: starttls (usually port 587), tls (usually 465), or none, for a "
        "server on this machine",
    )
    smtp_username: str | None = Field(None, description="user name at the SMTP server. Without it, nobody signs in")
    smtp_password: SecretStr | None = Field(None, description="password at the SMTP server")
    mail_from: str | None = Field(
        None,
        pattern=r"^[^@\s<>]+@[^@\s<>]+$",
        description="address that e-mails come from. Your domain has to allow the server to send for it (SPF, DKIM)",
    )
    mail_reply_to: str | None = Field(
        None, pattern=r"^[^@\s<>]+@[^@\s<>]+$", description="address that replies to e-mails go to"
    )
    mail_report_secret: SecretStr | None = Field(
        None,
        min_length=16,
        description="secret with which bounces and other reports are posted to /email/reports (Bearer, or the password "
        "of Basic). Without it, reports are not accepted",
    )
