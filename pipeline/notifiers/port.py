"""What a channel is: it sends one message, once, and says honestly how that went.

"Once" is the whole point. A notifier never tries again by itself, neither in its client nor in a pool nor through a
proxy: whether it is safe to, only the outcome tells, and the dispatcher decides.
"""

import hmac
import re
from collections.abc import Iterable
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from typing import Protocol

from pipeline.domain.asking.ask_states import State, hashed


@dataclass(frozen=True)
class Message:
    """One message to one person. `link_hash` is how its body can be told from others; nothing personal is printed."""

    to: str = field(repr=False)
    body: str = field(repr=False)
    link_hash: str
    callback_token: str = field(repr=False)
    valid_for: timedelta  # how long it may lie in the provider's queue
    sending_at: datetime
    account_id: str
    contact_id: str
    order_id: str


@dataclass(frozen=True)
class Accepted:
    """The provider has it, under this id."""

    id: str


@dataclass(frozen=True)
class NotAccepted:
    """Nothing was sent, for certain: no byte left, or the provider said "not now". `wait`: until the next try."""

    why: str
    wait: timedelta
    code: int | None = None


@dataclass(frozen=True)
class Rejected:
    """The provider refused for good. `opted_out`: because the person wants no messages."""

    code: int | None
    why: str
    opted_out: bool = False


@dataclass(frozen=True)
class Unknown:
    """Anything else: it may have been sent."""

    why: str


Sent = Accepted | NotAccepted | Rejected | Unknown


@dataclass(frozen=True)
class Found:
    """A message found at the provider, and how far it had come."""

    id: str
    state: State = State.SENT
    code: int | None = None


@dataclass(frozen=True)
class Absent:
    """It is not there and never will be: nothing was sent, for certain."""


@dataclass(frozen=True)
class Received:
    """A text that somebody sent to us, as the provider's list has it. `received_at`: when the provider got it."""

    id: str
    sender: str = field(repr=False)
    text: str = field(repr=False)
    received_at: datetime


class CannotLook(Exception):
    """The provider's list could not be read, so nothing can be concluded from it."""


class Notifier(Protocol):
    """One way for messages to go out."""

    @property
    def name(self) -> str:
        """What settings and metrics call it."""

    def send(self, message: Message) -> Sent:
        """Send it, once. Raises nothing that stands for an outcome."""

    def find(self, to: str, link_hash: str, since: datetime) -> Found | Absent | None:
        """Look for a message to that number with that link. None: not there (yet). Raises CannotLook."""


class Inbox(Protocol):
    """Where texts to us can be looked up."""

    def received(self, since: datetime) -> Iterable[Received]:
        """The texts since a moment, and perhaps some before it, newest first; read page by page. Raises CannotLook."""


_LINK = re.compile(r"/f/([A-Za-z0-9_-]{16,64})")


def holds_link(bodies: Iterable[str], link_hash: str) -> bool:
    """Whether a link of that hash stands in one of the texts."""
    return any(hmac.compare_digest(hashed(token), link_hash) for body in bodies for token in _LINK.findall(body))
