"""A real SMTP server (aiosmtpd) that behaves as mail servers do at their worst. It keeps every message that it took."""

import asyncio
import email
import email.policy
import socket
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from email.message import EmailMessage
from typing import Any, Literal

from aiosmtpd.controller import Controller
from aiosmtpd.smtp import AuthResult, LoginPassword

Behaviour = Literal[
    "accept",
    "no_mailbox",  # the recipient is refused for good
    "policy",  # the recipient is refused for good, for a reason that is not the address
    "later",  # the recipient is not accepted now, as by greylisting
    "sender",  # our address is refused
    "content",  # the content is refused for good, after it was sent
    "content_later",  # the content is not accepted now
    "reset",  # the content is taken, then the connection is reset
    "silent",  # the content is taken, and nothing is said
]
TAKEN = frozenset({"accept", "reset", "silent"})
_RCPT = {
    "no_mailbox": "550 5.1.1 no such user here",
    "policy": "550 5.7.1 not accepted from you",
    "later": "451 4.7.1 try again later",
}
_DATA = {"content": "554 5.6.0 refused", "content_later": "452 4.3.1 no space now"}


@dataclass
class MailServer:
    """What a server does, and the messages that it took: each with its recipient."""

    behaviour: Behaviour = "accept"
    taken: list[tuple[str, EmailMessage]] = field(default_factory=list)
    tried: list[str] = field(default_factory=list)  # the recipients that were named
    port: int = 0

    async def handle_MAIL(self, _server: Any, _session: Any, envelope: Any, address: str, options: list[str]) -> str:
        """Answer MAIL FROM."""
        if self.behaviour == "sender":
            return "553 5.7.1 not your address"
        envelope.mail_from = address
        envelope.mail_options.extend(options)
        return "250 OK"

    async def handle_RCPT(self, _server: Any, _session: Any, envelope: Any, address: str, options: list[str]) -> str:
        """Answer RCPT TO."""
        self.tried.append(address)
        if self.behaviour in _RCPT:
            return _RCPT[self.behaviour]
        envelope.rcpt_tos.append(address)
        envelope.rcpt_options.extend(options)
        return "250 OK"

    async def handle_DATA(self, server: Any, _session: Any, envelope: Any) -> str:
        """Answer the content."""
        if self.behaviour in _DATA:
            return _DATA[self.behaviour]
        parsed = email.message_from_bytes(envelope.content, policy=email.policy.default)
        assert isinstance(parsed, EmailMessage)
        self.taken.append((envelope.rcpt_tos[0], parsed))
        if self.behaviour == "reset":
            server.transport.abort()
        if self.behaviour == "silent":
            await asyncio.sleep(60)
        return "250 OK"


@contextmanager
def mail_server(behaviour: Behaviour = "accept", password: str | None = None) -> Iterator[MailServer]:
    """The server on a free port of this machine. With a `password`, the user "us" has to sign in."""
    made = MailServer(behaviour)

    def _authenticate(_server: Any, _session: Any, _envelope: Any, _mechanism: str, stated: Any) -> AuthResult:
        right = isinstance(stated, LoginPassword) and stated.password == (password or "").encode()
        return AuthResult(success=right, handled=right)

    controller = Controller(
        made,
        hostname="127.0.0.1",
        port=_free_port(),
        enable_SMTPUTF8=True,
        authenticator=_authenticate,
        auth_required=password is not None,
        auth_require_tls=False,
    )
    controller.start()
    made.port = controller.port
    try:
        yield made
    finally:
        controller.stop(no_assert=True)


def _free_port() -> int:
    with socket.socket() as made:
        made.bind(("127.0.0.1", 0))
        return int(made.getsockname()[1])
