"""Puts text messages on the demo's phones: on a page of this installation, not on the network."""

from datetime import datetime, timedelta
from typing import Protocol

from pipeline.notifiers.port import (
    Absent,
    Accepted,
    Adapter,
    Found,
    Message,
    NotAccepted,
    ProviderAnswer,
)

PAGE = "demo_phone"


class PhoneStore(Protocol):
    """Storage of the messages on the phones; `store` implements it."""

    def keep(self, number: str, body: str, link_hash: str, of: tuple[str, str, str], at: datetime) -> str | None:
        """Store a message and return its id. `of`: the ids of the account, the contact and the order.

        None: another dispatcher has taken the ask over and is looking the message up, so it must not appear any more.
        """

    def find(self, number: str, link_hash: str) -> str | None:
        """The id of a stored message. None: it is not stored and never will be."""


class Phone:
    """Sends by storing the message for the page of phones."""

    name = "phone"

    def __init__(self, store: PhoneStore) -> None:
        self._store = store

    def send(self, message: Message) -> ProviderAnswer:
        """Show the message on its recipient's phone."""
        of = (message.account_id, message.contact_id, message.order_id)
        message_id = self._store.keep(message.to, message.body, message.link_hash, of, message.sending_at)
        if message_id is None:
            return NotAccepted("another dispatcher has taken over", timedelta(0))
        return Accepted(message_id)

    def find(self, to: str, link_hash: str, since: datetime) -> Found | Absent:
        """Look at the phone. The storage is ours: a message that is not there was not sent."""
        message_id = self._store.find(to, link_hash)
        return Absent() if message_id is None else Found(message_id)


def configure(store: PhoneStore) -> Adapter:
    """Text messages on the demo's phones, and the page that shows them."""
    return Adapter(Phone(store), pages=(PAGE,))
