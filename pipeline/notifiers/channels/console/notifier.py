"""Prints messages, to try the product on one machine."""

import sys
from datetime import datetime
from typing import TextIO

from pipeline.notifiers.port import Accepted, Adapter, Found, Message, ProviderAnswer, Unknown


class Console:
    """Prints each message as one line. A printed message counts as sent."""

    name = "console"

    def __init__(self, out: TextIO | None = None) -> None:
        self._out = out
        self._printed: dict[str, str] = {}

    def send(self, message: Message) -> ProviderAnswer:
        """Print the message."""
        out = self._out or sys.stdout
        message_id = f"console-{message.link_hash[:12]}"
        try:
            print(f"To {message.to}: {' '.join(message.body.split())}", file=out, flush=True)
        except OSError as error:  # a part of the line may have been printed
            return Unknown(type(error).__name__)
        self._printed[message.link_hash] = message_id
        return Accepted(message_id)

    def find(self, to: str, link_hash: str, since: datetime) -> Found | None:
        """Only messages that this process printed can be found."""
        message_id = self._printed.get(link_hash)
        return None if message_id is None else Found(message_id)


def configure() -> Adapter:
    """Text messages, printed."""
    return Adapter(Console())
