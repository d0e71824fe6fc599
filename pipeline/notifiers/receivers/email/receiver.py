"""Sends a change of an incident as e-mail: text and HTML, with the trend as an inline image.

SMTP has no idempotency: after a crash, or without a response, a message may arrive twice. Both have one Message-ID, by
which most mail programs show one of them.
"""

import asyncio
from collections.abc import Sequence
from datetime import datetime
from email.errors import HeaderParseError
from email.headerregistry import Address
from email.message import EmailMessage
from email.policy import SMTP as WIRE_FORMAT
from email.utils import format_datetime
from hashlib import sha256

import jinja2

from pipeline.domain.notices.routes import Traits
from pipeline.notifiers.mail_server import smtp_server
from pipeline.notifiers.port import Accepted, NotAccepted, Rejected
from pipeline.notifiers.receivers import text
from pipeline.notifiers.receivers.configuration import EmailConfig, wrong_receiver
from pipeline.notifiers.receivers.email.trend import trend_image
from pipeline.notifiers.receivers.port import Delivered, Delivery, Failed, Refused, Result
from pipeline.notifiers.smtp import Envelope, SmtpServer, SmtpTransport
from pipeline.settings import ConfigurationError, Settings

_page = jinja2.Environment(
    loader=jinja2.PackageLoader("pipeline.notifiers.receivers.email"),
    autoescape=True,
    undefined=jinja2.StrictUndefined,
    trim_blocks=True,
    lstrip_blocks=True,
)


class EmailReceiver:
    """One list of addresses."""

    traits = Traits()

    def __init__(
        self, config: EmailConfig, server: SmtpServer, sender: str, to: Sequence[str], incident_url: str | None
    ) -> None:
        self.name = config.name
        self.target = f"{len(to)} address{'es' if len(to) > 1 else ''} through {server.host}:{server.port}"
        self._transport = SmtpTransport(server)
        self._sender = sender
        self._to = to
        self._incident_url = incident_url

    async def deliver(self, delivery: Delivery) -> Result:
        """Make one attempt."""
        message = await asyncio.to_thread(self.message, delivery)
        content = message.as_bytes(policy=WIRE_FORMAT)
        answer = await self._transport.hand_over(Envelope(self._sender, self._to, content), message["Message-ID"])
        match answer:
            case Accepted():
                return Delivered()
            case Rejected(code, why):
                return Refused(f"{why} (code {code})")
            case NotAccepted(why, wait):
                return Failed(why, wait)
            case _:
                return Failed(answer.why)

    async def refresh(self, memories: Sequence[str], now: datetime) -> Result:
        """Not needed."""
        return Delivered()

    def refreshes(self, memory: str, now: datetime) -> bool:
        """Never."""
        return False

    async def close(self) -> None:
        """Nothing: each message has its own connection."""

    def message(self, delivery: Delivery) -> EmailMessage:
        """The message. The same delivery has the same Message-ID."""
        message = EmailMessage()
        message["From"] = self._sender
        message["To"] = ", ".join(self._to)
        message["Subject"] = text.title(delivery)
        message["Date"] = format_datetime(delivery.now)
        domain = self._sender.rpartition("@")[2]
        message["Message-ID"] = f"<{sha256(delivery.key.encode()).hexdigest()[:40]}@{domain}>"
        message["Auto-Submitted"] = "auto-generated"
        message.set_content(text.body(delivery, self._incident_url))
        image = None if delivery.test or delivery.digest else trend_image(delivery.notices[0].data)
        message.add_alternative(self._html(delivery, image is not None), subtype="html")
        if image is not None:
            html = message.get_payload()[1]  # type: ignore[index]
            html.add_related(image, "image", "png", cid="<trend>", disposition="inline")  # type: ignore[union-attr]
        return message

    def _html(self, delivery: Delivery, has_image: bool) -> str:
        blocks = [
            (text.headline(notice), text.lines(notice, None), text.link_of(notice.data.incident_id, self._incident_url))
            for notice in delivery.notices
        ]
        words = text.TEST_TEXT if delivery.test else ""
        return _page.get_template("message.html.j2").render(
            title=text.title(delivery), blocks=blocks, has_image=has_image, words=words
        )


def configure(config: EmailConfig, settings: Settings, incident_url: str | None) -> EmailReceiver:
    """The receiver of a configuration. Raises ConfigurationError."""
    if settings.smtp_host is None or settings.mail_from is None:
        raise ConfigurationError(
            f"receiver {config.name}: e-mail needs UNVARNISHED_SMTP_HOST and UNVARNISHED_MAIL_FROM"
        )
    for address in config.to:
        if not _is_address(address):
            raise wrong_receiver(config, "to", "one of them is not an e-mail address")
    return EmailReceiver(config, smtp_server(settings), settings.mail_from, config.to, incident_url)


def _is_address(text: str) -> bool:
    try:
        address = Address(addr_spec=text)
    except (ValueError, IndexError, HeaderParseError):
        return False
    return bool(address.username and "." in address.domain) or address.domain == "localhost"
