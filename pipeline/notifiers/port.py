"""The contract between the product and a provider: sending, lookups, inbound texts, webhooks, a check of the settings.

A channel's folder has a function that returns an `Adapter`: a `Notifier`, and where the provider has them an `Inbox`
and `Webhooks`. Values are neutral: no code above this package knows a provider's parameters, codes, paths or status
words.

A notifier sends each message at most once and reports the result. It never retries, neither in its client nor in a
connection pool nor through a proxy: only the dispatcher knows from the result whether a retry is safe.
"""

import hmac
import re
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from typing import NamedTuple, Protocol

import msgspec

from pipeline.domain.answers.replies import Control
from pipeline.domain.asking.ask_states import AskState, hashed


@dataclass(frozen=True)
class MailContent:
    """What an e-mail has beyond its text. `unsubscribe_url` takes one click of the reader's program (RFC 8058)."""

    subject: str = field(repr=False)
    text: str = field(repr=False)
    html: str = field(repr=False)
    unsubscribe_url: str = field(repr=False)


class TemplateContent(NamedTuple):
    """What a provider's approved template is chosen by and filled in with: its text is kept at the provider.

    `purpose`: that of the question, or the name of the response.
    """

    language: str
    purpose: str
    company: str
    order: str
    link: str


@dataclass(frozen=True)
class Message:
    """One message to one person. `link_hash` identifies it at the provider. Its repr shows no personal data.

    `body` is the text of a text message. Of an e-mail `mail` is sent, of a template `template`.
    """

    to: str = field(repr=False)
    body: str = field(repr=False)
    link_hash: str
    callback_token: str = field(repr=False)
    valid_for: timedelta  # the longest time it may wait in the provider's queue
    sending_at: datetime
    account_id: str
    contact_id: str
    order_id: str
    mail: MailContent | None = field(default=None, repr=False)
    template: TemplateContent | None = field(default=None, repr=False)


@dataclass(frozen=True)
class Accepted:
    """The provider accepted the message and gave it this id."""

    id: str


@dataclass(frozen=True)
class NotAccepted:
    """Certainly nothing was sent: no byte left this machine, or the provider answered "not now"."""

    why: str
    wait: timedelta  # until the next attempt
    code: int | None = None


@dataclass(frozen=True)
class Rejected:
    """The provider refused the message for good.

    `opted_out`: because the recipient wants no messages. `undeliverable`: because nobody can be reached at the address.
    """

    code: int | None
    why: str
    opted_out: bool = False
    undeliverable: bool = False


@dataclass(frozen=True)
class Unknown:
    """The message may have been sent or not."""

    why: str


ProviderAnswer = Accepted | NotAccepted | Rejected | Unknown


@dataclass(frozen=True)
class Found:
    """A message found at the provider, and the state it has reached there."""

    id: str
    state: AskState = AskState.SENT
    code: int | None = None
    undeliverable: bool = False  # nobody can be reached at the address


@dataclass(frozen=True)
class Absent:
    """The provider certainly does not have the message and never will: nothing was sent."""


class LookupUnavailable(Exception):
    """The provider's list could not be read; nothing can be concluded."""


class InboundText(msgspec.Struct, frozen=True, tag="inbound_text"):
    """A text that a person sent to us. Stored as JSON while the database is unavailable: keep the field names."""

    source: str  # name of the provider: with `message_id` it identifies the text, by webhook or from a list
    message_id: str
    sender: str  # address, as the provider spells it
    text: str
    received_at: datetime
    provider_action: Control | None = None  # what the provider did about the text itself, its reply included
    media: tuple[str, ...] = ()  # addresses of pictures and other files that came with it, at the provider

    def __repr__(self) -> str:
        """Without personal data."""
        return f"InboundText({self.source}:{self.message_id})"


class StatusReport(msgspec.Struct, frozen=True, tag="status_report"):
    """A provider's report on a message of ours. Stored as JSON while the database is unavailable, as `InboundText`."""

    message_id: str
    callback_token: str  # the random token that was sent to the provider with this attempt
    status: str  # the provider's word: one report for each word of a message counts
    received_at: datetime
    state: AskState | None = None  # None: the word says nothing about the delivery
    code: int | None = None
    opted_out: bool = False  # the recipient wants no messages
    undeliverable: bool = False  # nobody can be reached at the address


WebhookContent = InboundText | StatusReport


class HttpCall(NamedTuple):
    """An HTTP POST to one of a channel's webhooks."""

    path: str
    query: str  # as received, without "?"
    headers: Mapping[str, str]  # names in lower case
    body: bytes
    received_at: datetime


class NotSigned(Exception):
    """A webhook call without the provider's valid signature. Carries no detail, so a forger learns nothing."""


class BadCall(Exception):
    """A signed webhook call with an unusable parameter."""

    def __init__(self, reason: str, parameter: str) -> None:
        super().__init__(reason)
        self.reason, self.parameter = reason, parameter


class Reply(NamedTuple):
    """The body of a response to a webhook call."""

    body: str
    media_type: str


class Webhooks(Protocol):
    """A provider's calls to us."""

    @property
    def paths(self) -> tuple[str, ...]:
        """The paths on the public listener that the provider posts to."""

    def parse(self, call: HttpCall) -> WebhookContent:
        """The content of a call. Raises NotSigned or BadCall."""

    def reply(self, text: str | None) -> Reply:
        """The response to an inbound text: `text` goes back to its sender, None sends nothing."""

    def parse_spooled(self, raw: bytes) -> WebhookContent:
        """A call as an earlier version kept it on disk. Raises msgspec.DecodeError if it is in no such format."""


class Notifier(Protocol):
    """Sends the messages of a channel."""

    @property
    def name(self) -> str:
        """The name used in settings and metrics."""

    def send(self, message: Message) -> ProviderAnswer:
        """Send the message once. Every failure of the provider is a value, not an exception."""

    def find(self, to: str, link_hash: str, since: datetime) -> Found | Absent | None:
        """Look up a message to that address with that link, sent after `since`. None: not listed (yet).

        Raises LookupUnavailable.
        """


class Inbox(Protocol):
    """A provider's list of the texts that were sent to us."""

    def received(self, since: datetime) -> Iterable[InboundText]:
        """The texts since a moment and possibly some before it, newest first, read page by page.

        Raises LookupUnavailable.
        """


class SettingsProblem(NamedTuple):
    """A setting with which a channel works badly, and what to do about it."""

    found: str
    advice: str


@dataclass(frozen=True)
class Adapter:
    """The connection of a channel to the provider that carries it."""

    notifier: Notifier
    inbox: Inbox | None = None  # None: the provider has no list of inbound texts, or its messages cannot be replied to
    webhooks: Webhooks | None = None
    pages: tuple[str, ...] = ()  # names of extra internal pages, see web.internal.channel_pages
    check: Callable[[], SettingsProblem | None] = lambda: None  # for `unvarnished doctor`
    clock: Callable[[], datetime | None] | None = None  # the provider's time, None if it does not answer; None: unknown


_LINK = re.compile(r"/f/([A-Za-z0-9_-]{16,64})")


def contains_link(bodies: Iterable[str], link_hash: str) -> bool:
    """Whether one of the texts contains a link with that hash."""
    return any(hmac.compare_digest(hashed(token), link_hash) for body in bodies for token in _LINK.findall(body))
