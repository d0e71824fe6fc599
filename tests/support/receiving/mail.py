"""A real SMTP server that keeps the messages that it accepts."""

import socket
from collections.abc import Callable
from dataclasses import dataclass, field
from email import message_from_bytes
from email.message import EmailMessage
from email.policy import default
from typing import Any, Self

from aiosmtpd.controller import Controller


@dataclass
class MailServer:
    """Keeps messages in `messages`. `reply`: to each message, by its number (from 1); None: accepted."""

    reply: Callable[[int], str | None] = lambda _: None
    port: int = 0
    messages: list[EmailMessage] = field(default_factory=list)
    recipients: list[list[str]] = field(default_factory=list)
    _seen: int = 0

    async def handle_DATA(self, _server: Any, _session: Any, envelope: Any) -> str:
        """Called by aiosmtpd."""
        self._seen += 1
        refusal = self.reply(self._seen)
        if refusal is None:
            found = message_from_bytes(envelope.content, policy=default)
            assert isinstance(found, EmailMessage)
            self.messages.append(found)
            self.recipients.append(list(envelope.rcpt_tos))
        return refusal or "250 OK"

    def __enter__(self) -> Self:
        if not self.port:
            with socket.create_server(("127.0.0.1", 0)) as free:
                self.port = free.getsockname()[1]
        self._controller = Controller(self, hostname="127.0.0.1", port=self.port)
        self._controller.start()
        return self

    def __exit__(self, *_: object) -> None:
        self._controller.stop()

    @property
    def settings(self) -> dict[str, Any]:
        """The settings that lead to it."""
        return settings_of(self.port)


def settings_of(port: int) -> dict[str, Any]:
    """The settings of a server on this machine."""
    return {"smtp_host": "127.0.0.1", "smtp_port": port, "smtp_security": "none"}
