"""Inbound texts as a conversation handles them, and what comes of one."""

from collections.abc import Sequence
from datetime import datetime
from typing import Literal, NamedTuple

from pipeline.consumers.intake import Incoming
from pipeline.domain.answers.replies import Control
from pipeline.domain.asking.channels import Channel
from pipeline.notifiers.port import InboundText
from pipeline.store.store import Store

ReplyOutcome = Literal["answered", "unclear", "control", "ignored", "quarantined"]


class Inbound(NamedTuple):
    """An inbound text as a conversation handles it. `sender` is the digest of its address: a hint, not an identity."""

    source: str  # name of the provider, or of the page, that the text came from
    message_id: str
    sender: str | None  # None: not an address that can be written to
    text: str
    received_at: datetime
    provider_action: Control | None = None  # what the provider did about the text itself, its reply included
    answerable: bool = True  # False: the text was acknowledged before it was handled, so no reply can go with it
    channel: str = "sms"
    same_phone: tuple[str, ...] = ()  # digests of other spellings of the sender's number
    media: tuple[str, ...] = ()  # where the pictures that came with the text are at the provider


class ReplyResult(NamedTuple):
    """The result of a text. `new` False: the text was handled before, and nothing was done.

    `events` are stored in the journal; the caller passes them to the runner, so that they are processed at once.
    """

    new: bool
    outcome: ReplyOutcome | None = None
    reply: str | None = None
    events: Sequence[Incoming] = ()


ALREADY_HANDLED = ReplyResult(False)


def inbound(store: Store, channel: Channel, text: InboundText, answerable: bool = True) -> Inbound:
    """An inbound text of a channel, its sender replaced by the digest of the address."""
    return Inbound(
        source=text.source,
        message_id=text.message_id,
        sender=store.vault.digest(channel.address_kind, text.sender),
        text=text.text,
        received_at=text.received_at,
        provider_action=text.provider_action,
        answerable=answerable,
        channel=channel.name,
        same_phone=store.vault.other_digests(channel.address_kind, text.sender),
        media=text.media,
    )


def event_id_of(text: Inbound | InboundText) -> str:
    """The id of the event that a text results in."""
    return f"{text.source}:{text.message_id}"
