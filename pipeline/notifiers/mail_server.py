"""The mail server in the settings, for every part that sends e-mail."""

from pipeline.notifiers.smtp import SmtpServer
from pipeline.settings import ConfigurationError, Settings


def smtp_server(settings: Settings) -> SmtpServer:
    """The mail server in the settings. Raises ConfigurationError if there is none."""
    if settings.smtp_host is None:
        raise ConfigurationError("e-mail needs UNVARNISHED_SMTP_HOST, the server that mail is handed to")
    password = settings.smtp_password
    return SmtpServer(
        settings.smtp_host,
        settings.smtp_port,
        settings.smtp_security,
        settings.provider_timeout_seconds,
        settings.smtp_username,
        None if password is None else password.get_secret_value(),
    )
