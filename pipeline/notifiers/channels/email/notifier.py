"""Sends questions by e-mail. A mail server lists nothing that it sent: reports and answers resolve unknown outcomes."""

import re
from datetime import datetime, timedelta

from pipeline.domain.asking.ask_states import hashed
from pipeline.notifiers.port import Message, NotAccepted, ProviderAnswer
from pipeline.notifiers.smtp import Mail, SmtpTransport

_RETRY_AFTER_BUG = timedelta(minutes=15)
_PREFIX = "ask."  # of our Message-IDs
_OURS = re.compile(r"<?ask\.([A-Za-z0-9_-]{16,64})@")


class Email:
    """Sends each question as one e-mail. `sender` is its From address, with the company's name."""

    name = "email"

    def __init__(self, transport: SmtpTransport, sender: str, company: str, reply_to: str | None) -> None:
        self._transport = transport
        self._sender = sender
        self._company = company
        self._reply_to = reply_to

    def send(self, message: Message) -> ProviderAnswer:
        """One conversation with the server."""
        if message.mail is None:
            return NotAccepted("the message has no content for e-mail", _RETRY_AFTER_BUG)
        return self._transport.send(self._mail(message), provider_id(message.callback_token))

    def find(self, to: str, link_hash: str, since: datetime) -> None:
        """Nothing can be looked up: a message of unknown outcome stays so until something proves that it was sent."""
        return

    def _mail(self, message: Message) -> Mail:
        content = message.mail
        assert content is not None  # noqa: S101  # `send` has checked it
        return Mail(
            sender=self._sender,
            sender_name=self._company,
            to=message.to,
            subject=content.subject,
            text=content.text,
            html=content.html,
            message_id=f"{_PREFIX}{message.callback_token}@{self._sender.rpartition('@')[2]}",
            reply_to=self._reply_to,
            headers=(
                ("List-Unsubscribe", f"<{content.unsubscribe_url}>"),
                ("List-Unsubscribe-Post", "List-Unsubscribe=One-Click"),
            ),
        )


def provider_id(callback_token: str) -> str:
    """The id under which an accepted e-mail is stored. The token itself is stored nowhere."""
    return f"email-{hashed(callback_token)[:32]}"


def token_in(message_id: str) -> str | None:
    """The token in a Message-ID of ours; None: it is none of ours."""
    found = _OURS.search(message_id)
    return None if found is None else found[1]
