"""The channels on which customers can be asked, as values: which consent and which address each of them needs.

A channel says nothing about how a message is sent; that is the notifier registered under the channel's name.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import timedelta
from typing import Literal, get_args

from pipeline.domain.events.contract import Contact

AddressKind = Literal["phone", "email"]
"""The field of `Contact` that holds the address (its digest, once an event is stored)."""
ConsentKind = Literal["sms", "email", "whatsapp"]
"""The field of `Consent` that records whether the contact agreed."""

MAX_QUEUE_TIME = timedelta(hours=4)


@dataclass(frozen=True)
class Channel:
    """One way to ask a customer."""

    name: str
    """Stored with every ask, and what settings, reports and notifiers call it."""
    address_kind: AddressKind
    consent_kind: ConsentKind
    max_queue_time: timedelta = MAX_QUEUE_TIME
    """How long a message may wait at the provider: afterwards the question is out of date."""
    reports_arrival: bool = True
    """Whether its providers report that a message arrived, not only that it failed."""
    one_way_in: frozenset[str] = frozenset()
    """Countries (ISO 3166) where nobody can reply on this channel: a message there has links only."""

    def consents(self, contact: Contact) -> bool:
        """Whether the contact's consent to this channel is recorded."""
        return contact.consent is not None and bool(getattr(contact.consent, self.consent_kind))

    def address(self, contact: Contact) -> str | None:
        """The digest of the contact's address on this channel; None if no address is known."""
        digest: str | None = getattr(contact, self.address_kind)
        return digest

    def serves(self, contact: Contact) -> bool:
        """Whether the contact agreed to this channel and has an address on it."""
        return self.consents(contact) and self.address(contact) is not None


SMS = Channel("sms", address_kind="phone", consent_kind="sms")
WHATSAPP = Channel("whatsapp", address_kind="phone", consent_kind="whatsapp")
EMAIL = Channel("email", address_kind="email", consent_kind="email", reports_arrival=False)


def addresses_of(contact: Contact) -> frozenset[str]:
    """The digests of all addresses of a contact, whatever they agreed to."""
    return frozenset(digest for digest in (contact.phone, contact.email) if digest)


def consents_to_any(contact: Contact) -> bool:
    """Whether any consent is recorded, be it for a channel that this installation does not have."""
    return contact.consent is not None and any(getattr(contact.consent, kind) for kind in get_args(ConsentKind))


def serving_channel(contact: Contact, channels: Sequence[Channel]) -> Channel | None:
    """The first of `channels` (in order of preference) that serves the contact; None if none does.

    One on which the contact can reply is preferred.
    """
    return min(
        (channel for channel in channels if channel.serves(contact)),
        key=lambda channel: contact.country in channel.one_way_in,
        default=None,
    )
