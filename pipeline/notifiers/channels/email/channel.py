"""Builds the channel from the settings, and checks them."""

from functools import partial

from pipeline.notifiers.channels.email.notifier import Email
from pipeline.notifiers.channels.email.reports import MailReports
from pipeline.notifiers.mail_server import smtp_server
from pipeline.notifiers.port import Adapter, SettingsProblem
from pipeline.notifiers.smtp import SmtpTransport
from pipeline.settings import ConfigurationError, Settings

_LOCAL = ("://127.", "://localhost", "://[::1]")


def configure(settings: Settings) -> Adapter:
    """Questions by e-mail. Raises ConfigurationError naming the setting that is missing."""
    if settings.mail_from is None:
        raise ConfigurationError("email needs UNVARNISHED_MAIL_FROM, the address that e-mails come from")
    secret = settings.mail_report_secret
    email = Email(
        SmtpTransport(smtp_server(settings)), settings.mail_from, settings.company_name, settings.mail_reply_to
    )
    return Adapter(
        notifier=email,
        webhooks=None if secret is None else MailReports(secret.get_secret_value()),
        check=partial(_check, settings),
    )


def _check(settings: Settings) -> SettingsProblem | None:
    """Customers must reach the links, encrypted; and somebody must learn of bounces."""
    if any(local in settings.public_url for local in _LOCAL) or not settings.public_url.startswith("https://"):
        return SettingsProblem(
            "the links in e-mails lead to this machine or are not encrypted",
            "set UNVARNISHED_PUBLIC_URL to the public https:// address",
        )
    if settings.mail_report_secret is None:
        return SettingsProblem(
            "nothing is known of bounces",
            "set UNVARNISHED_MAIL_REPORT_SECRET and have your mail server post them to /email/reports",
        )
    return None
