"""The demo's phones: a message is shown on a page of ours instead of leaving the machine."""

from datetime import datetime, timedelta
from typing import Protocol

from pipeline.notifiers.port import Absent, Accepted, Found, Message, NotAccepted, Sent


class Shelf(Protocol):
    """Where the messages are kept; the store has one."""

    def keep(self, number: str, body: str, link_hash: str, of: tuple[str, str, str], at: datetime) -> str | None:
        """Keep a message; `of` are the account's id, the contact's and the order's. Returns its own id.

        None: it is being looked for, so it must not appear any more.
        """

    def find(self, number: str, link_hash: str) -> str | None:
        """The id of a message that was kept. None: it was not, and will not be."""


class Phone:
    """Puts messages where the phone page shows them."""

    name = "phone"

    def __init__(self, shelf: Shelf) -> None:
        self._shelf = shelf

    def send(self, message: Message) -> Sent:
        """Show it on its recipient's phone."""
        of = (message.account_id, message.contact_id, message.order_id)
        kept = self._shelf.keep(message.to, message.body, message.link_hash, of, message.sending_at)
        return NotAccepted("somebody else has taken over", timedelta(0)) if kept is None else Accepted(kept)

    def find(self, to: str, link_hash: str, since: datetime) -> Found | Absent:
        """Look at the phone. It is ours, so what it does not show was not sent."""
        found = self._shelf.find(to, link_hash)
        return Absent() if found is None else Found(found)
