"""Sends e-mail by SMTP (RFC 5321): one attempt for one message, with a result that says whether it may be repeated.

Whoever sends mail uses this: questions to customers, alerts, reports. Until the content is sent, the server has
certainly accepted nothing. From then on a missing reply leaves it unknown.
"""

import asyncio
import re
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from datetime import timedelta
from email.headerregistry import Address
from email.message import EmailMessage
from email.policy import SMTP as WIRE_FORMAT
from email.policy import SMTPUTF8 as INTERNATIONAL_FORMAT
from typing import Literal, NamedTuple

import aiosmtplib

from pipeline.notifiers.port import Accepted, NotAccepted, ProviderAnswer, Rejected, Unknown

Security = Literal["starttls", "tls", "none"]
_RETRY_SOON = timedelta(seconds=60)  # the server was unreachable or busy
_RETRY_LATER = timedelta(minutes=15)  # it said "not now", as greylisting does, or an operator has to correct the setup
_PERMANENT = 500  # replies from here on are final (RFC 5321, 4.2.1)
_NO_SUCH_MAILBOX = frozenset({550, 551, 553, 556})  # without an enhanced code
_ENHANCED = re.compile(r"\b5\.(\d{1,3})\.\d{1,3}\b")  # RFC 3463; the subject 1 is the address
_ADDRESS_SUBJECT = "1"


@dataclass(frozen=True)
class SmtpServer:
    """The server that mail is handed to. `timeout` limits a whole conversation, in seconds."""

    host: str
    port: int
    security: Security
    timeout: float
    username: str | None = None
    password: str | None = field(default=None, repr=False)


class Image(NamedTuple):
    """A PNG that the HTML of a mail shows as `cid:NAME`."""

    name: str
    png: bytes


@dataclass(frozen=True)
class Mail:
    """One e-mail to one person. `message_id` has no angle brackets; its repr shows no personal data."""

    sender: str
    sender_name: str
    to: str = field(repr=False)
    subject: str = field(repr=False)
    text: str = field(repr=False)
    html: str | None = field(repr=False)
    message_id: str = field(repr=False)
    reply_to: str | None = None
    headers: tuple[tuple[str, str], ...] = field(default=(), repr=False)
    images: tuple[Image, ...] = field(default=(), repr=False)


class Envelope(NamedTuple):
    """A message in its wire format, with who sends it and who gets it."""

    sender: str
    recipients: Sequence[str]
    content: bytes


@dataclass
class _Progress:
    """How far a conversation has come."""

    before_content: Callable[[], None]
    content_sent: bool = False


class SmtpTransport:
    """Sends mail through one server. A connection serves one message, so that no failure concerns another."""

    def __init__(self, server: SmtpServer) -> None:
        self._server = server

    def send(self, mail: Mail, accepted_id: str, before_content: Callable[[], None] = lambda: None) -> ProviderAnswer:
        """Send the mail once; `accepted_id` is its id if the server takes it. Runs in the caller's thread.

        `before_content` is called when the server has taken sender and recipient, before anything of the message is
        sent: until it returns, the server has certainly accepted nothing. What it raises ends the attempt.
        """
        try:
            content = wire_format(mail)
        except ValueError:  # UnicodeError among them
            return Rejected(None, "the address cannot be written to", undeliverable=True)
        return asyncio.run(self.hand_over(Envelope(mail.sender, (mail.to,), content), accepted_id, before_content))

    async def hand_over(
        self, envelope: Envelope, accepted_id: str, before_content: Callable[[], None] = lambda: None
    ) -> ProviderAnswer:
        """Send a message once. Accepted if the server takes it for at least one of its recipients."""
        progress = _Progress(before_content)
        try:
            async with asyncio.timeout(self._server.timeout):
                return await self._converse(envelope, accepted_id, progress)
        except aiosmtplib.SMTPRecipientRefused as refused:
            return _recipient_refused(refused.code, refused.message)
        except aiosmtplib.SMTPResponseException as refused:
            return _refused(refused.code, refused.message, progress)
        except (aiosmtplib.SMTPException, OSError, TimeoutError) as error:
            if progress.content_sent:
                return Unknown(type(error).__name__)
            return NotAccepted(f"no connection ({type(error).__name__})", _RETRY_SOON)

    async def _converse(self, envelope: Envelope, accepted_id: str, progress: _Progress) -> ProviderAnswer:
        server = self._server
        client = aiosmtplib.SMTP(
            hostname=server.host,
            port=server.port,
            use_tls=server.security == "tls",
            start_tls=server.security == "starttls",
            username=server.username,
            password=server.password,
            timeout=server.timeout,
        )
        try:
            await client.connect()
            recipients = [_ascii_domain(to) for to in envelope.recipients]
            options = [] if all(to.isascii() for to in recipients) else ["SMTPUTF8"]
            if options and not await _takes_any_script(client):
                return Rejected(None, "the server takes no address outside ASCII", undeliverable=True)
            await client.mail(envelope.sender, options=options)
            await _name_recipients(client, recipients)
            progress.before_content()
            progress.content_sent = True
            await client.data(envelope.content)
            return Accepted(accepted_id)
        finally:
            client.close()


def wire_format(mail: Mail) -> bytes:
    """The message as it is sent: text, and HTML as its alternative."""
    made = EmailMessage(policy=WIRE_FORMAT if mail.to.isascii() else INTERNATIONAL_FORMAT)
    made["From"] = Address(mail.sender_name, addr_spec=mail.sender)
    made["To"] = mail.to
    made["Subject"] = mail.subject
    made["Message-ID"] = f"<{mail.message_id}>"
    made["Auto-Submitted"] = "auto-generated"  # RFC 3834: no automatic reply is wanted
    if mail.reply_to is not None:
        made["Reply-To"] = mail.reply_to
    for name, value in mail.headers:
        made[name] = value
    made.set_content(mail.text)
    if mail.html is not None:
        made.add_alternative(mail.html, subtype="html")
        html: EmailMessage = made.get_payload()[-1]  # type: ignore[index, assignment]
        for image in mail.images:
            html.add_related(image.png, "image", "png", cid=f"<{image.name}>", disposition="inline")
    return made.as_bytes()


def means_no_mailbox(code: int | None, message: str) -> bool:
    """Whether a final refusal says that nobody can be reached at the address, by its enhanced code if it has one."""
    enhanced = _ENHANCED.search(message)
    if enhanced is not None:
        return enhanced[1] == _ADDRESS_SUBJECT
    return code in _NO_SUCH_MAILBOX


def _recipient_refused(code: int, message: str) -> ProviderAnswer:
    if code < _PERMANENT:
        return NotAccepted("the recipient was not accepted now", _RETRY_LATER, code)
    return Rejected(code, "the recipient was refused", undeliverable=means_no_mailbox(code, message))


def _refused(code: int, message: str, progress: _Progress) -> ProviderAnswer:
    """A refusal of anything but the recipient: one of our setup may pass, one of the content does not."""
    if code < 0:  # the library's own: there was no reply that could be read
        return Unknown("an unreadable reply") if progress.content_sent else NotAccepted("no reply", _RETRY_SOON)
    if progress.content_sent and code >= _PERMANENT:
        return Rejected(code, "the content was refused", undeliverable=means_no_mailbox(None, message))
    return NotAccepted("not accepted by the server", _RETRY_LATER, code)


async def _name_recipients(client: aiosmtplib.SMTP, recipients: Sequence[str]) -> None:
    """Raises SMTPRecipientRefused if the server refuses all of them."""
    refusals = []
    for to in recipients:
        try:
            await client.rcpt(to, encoding="utf-8")
        except aiosmtplib.SMTPRecipientRefused as refused:
            refusals.append(refused)
    if len(refusals) == len(recipients):
        raise refusals[-1]


async def _takes_any_script(client: aiosmtplib.SMTP) -> bool:
    """Whether the server takes addresses outside ASCII (RFC 6531)."""
    await client.ehlo()
    return client.supports_extension("smtputf8")


def _ascii_domain(address: str) -> str:
    local, _, domain = address.rpartition("@")
    try:
        return f"{local}@{domain.encode('idna').decode('ascii')}"
    except UnicodeError:
        return address
