"""Prints messages: for trying things out on one's own machine."""

import sys
from datetime import datetime
from typing import TextIO

from pipeline.notifiers.port import Accepted, Found, Message, Sent, Unknown


class Console:
    """Writes each message as one line; what is printed is delivered."""

    name = "console"

    def __init__(self, out: TextIO | None = None) -> None:
        self._out = out
        self._printed: dict[str, str] = {}

    def send(self, message: Message) -> Sent:
        """Print it."""
        out = self._out or sys.stdout
        message_id = f"console-{message.link_hash[:12]}"
        try:
            print(f"To {message.to}: {' '.join(message.body.split())}", file=out, flush=True)
        except OSError as error:  # half a line may be out
            return Unknown(type(error).__name__)
        self._printed[message.link_hash] = message_id
        return Accepted(message_id)

    def find(self, to: str, link_hash: str, since: datetime) -> Found | None:
        """Only what this process printed can be found."""
        message_id = self._printed.get(link_hash)
        return None if message_id is None else Found(message_id)
