"""Sends e-mail over SMTP: one attempt, with one of the results of `port.py`. Used by every part that sends e-mail.

Until the message was handed over, a failure is certain: `NotAccepted`. After that, without a response, it is `Unknown`
whether the server has the message.
"""

import ssl
from collections.abc import Sequence
from dataclasses import dataclass, field
from datetime import timedelta
from email.message import EmailMessage
from email.policy import SMTP as WIRE
from typing import Literal
from urllib.parse import parse_qs, unquote, urlsplit

import aiosmtplib

from pipeline.notifiers.port import Accepted, NotAccepted, ProviderAnswer, Rejected, Unknown
from pipeline.settings import ConfigurationError

SETTING = "UNVARNISHED_SMTP_URL"
_SECONDS = 10.0  # for each step of the exchange
_WAIT = timedelta(minutes=1)
_WAIT_FOR_PERSON = timedelta(minutes=15)  # somebody has to correct the credentials
_PORTS = {"none": 25, "starttls": 587, "tls": 465}
_PERMANENT = range(500, 600)

Security = Literal["none", "starttls", "tls"]


@dataclass(frozen=True)
class SmtpServer:
    """A mail server. `security`: how the connection is encrypted."""

    host: str
    port: int
    security: Security
    user: str | None = None
    password: str | None = field(default=None, repr=False)

    @property
    def name(self) -> str:
        """Host and port."""
        return f"{self.host}:{self.port}"


def parse(url: str) -> SmtpServer:
    """The server of smtp://USER:PASSWORD@HOST:PORT (STARTTLS), smtps:// (TLS) or smtp://...?tls=none.

    Raises ConfigurationError, without any part of the URL.
    """
    try:
        parts = urlsplit(url)
        port, query = parts.port, parse_qs(parts.query)
    except ValueError:
        raise _wrong() from None
    if parts.scheme not in ("smtp", "smtps") or not parts.hostname or parts.path not in ("", "/"):
        raise _wrong()
    if set(query) - {"tls"} or query.get("tls", ["none"]) != ["none"]:
        raise ConfigurationError(f"{SETTING}: the only option is tls=none, for a server without encryption")
    security: Security = "tls" if parts.scheme == "smtps" else "none" if query else "starttls"
    user = unquote(parts.username) if parts.username else None
    password = unquote(parts.password) if parts.password else None
    if user is not None and security == "none":
        raise ConfigurationError(f"{SETTING}: a password is not sent without encryption: remove tls=none")
    return SmtpServer(parts.hostname, port or _PORTS[security], security, user, password)


async def send(server: SmtpServer, sender: str, recipients: Sequence[str], message: EmailMessage) -> ProviderAnswer:
    """Send a message to these addresses, once. Accepted if the server takes it for at least one of them.

    The message needs its own Message-ID: an attempt that repeats another one has the same.
    """
    client = aiosmtplib.SMTP(
        hostname=server.host,
        port=server.port,
        timeout=_SECONDS,
        use_tls=server.security == "tls",
        start_tls=server.security == "starttls",
        tls_context=ssl.create_default_context() if server.security != "none" else None,
    )
    try:
        await client.connect()
        if server.user is not None:
            await client.login(server.user, server.password or "")
    except aiosmtplib.SMTPAuthenticationError as error:
        client.close()
        return NotAccepted("the mail server refuses user or password", _WAIT_FOR_PERSON, error.code)
    except (aiosmtplib.SMTPException, OSError, ValueError) as error:
        client.close()
        return NotAccepted(f"no connection to the mail server ({type(error).__name__})", _WAIT)
    try:
        refused, _ = await client.sendmail(sender, list(recipients), message.as_bytes(policy=WIRE))
    except aiosmtplib.SMTPRecipientsRefused as error:
        return _refused([one.code for one in error.recipients])
    except aiosmtplib.SMTPResponseException as error:
        return _refused([error.code])
    except (aiosmtplib.SMTPException, OSError) as error:
        return Unknown(f"no response of the mail server ({type(error).__name__})")
    finally:
        client.close()
    return Accepted(f"{message['Message-ID']}") if len(refused) < len(recipients) else _refused([])


def _refused(codes: Sequence[int]) -> ProviderAnswer:
    """Refused for good if every code says so."""
    code = codes[0] if codes else None
    if codes and all(each in _PERMANENT for each in codes):
        return Rejected(code, "the mail server refuses the message")
    return NotAccepted("the mail server does not take the message now", _WAIT, code)


def _wrong() -> ConfigurationError:
    return ConfigurationError(f"{SETTING}: use smtp://USER:PASSWORD@HOST:PORT, or smtps:// for TLS from the first byte")
