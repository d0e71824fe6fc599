"""Sends one message, or looks one up, at the provider. Runs in the dispatcher's threads and never uses the database.

Every failure is a value: an exception in such a thread would go unnoticed.
"""

import logging
import time
from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import timedelta

from pipeline.consumers.runtime import failpoints
from pipeline.domain.asking.ask_states import hashed
from pipeline.notifiers.port import (
    Absent,
    Found,
    LookupUnavailable,
    Message,
    NotAccepted,
    Notifier,
    ProviderAnswer,
    TemplateContent,
    Unknown,
)
from pipeline.notifiers.wording.languages import best_language
from pipeline.notifiers.wording.mails import AskedQuestion, question_mail
from pipeline.notifiers.wording.questions import OwnWords, question_text
from pipeline.store.asks.claiming import Claimed, PendingLookup

_RETRY_AFTER_BUG = timedelta(minutes=15)
_log = logging.getLogger(__name__)


@dataclass(frozen=True)
class MessageContext:
    """What every message is written with: the company's name, the public address that links start with, and its own
    wording of the question.
    """

    company: str
    public_url: str
    own_words: OwnWords = field(default_factory=dict)


@dataclass(frozen=True)
class SendResult:
    """The provider's answer to a claimed ask."""

    claimed: Claimed
    answer: ProviderAnswer


@dataclass(frozen=True)
class LookupResult:
    """What a lookup found. `failed`: the lookup was not possible, so nothing can be concluded."""

    lookup: PendingLookup
    found: Found | Absent | None
    failed: bool = False


class Sender:
    """Sends and looks up, in any number of threads. Nothing is sent once half of the `lease` has passed."""

    def __init__(self, notifiers: Mapping[str, Notifier], context: MessageContext, lease: timedelta) -> None:
        self._notifiers = notifiers
        self._context = context
        self._lease = lease

    def send(self, claimed: Claimed, started: float) -> SendResult:
        """Send an ask that was claimed at `started` (monotonic seconds), unless that is too long ago."""
        return SendResult(claimed, self._send(claimed, started))

    def _send(self, claimed: Claimed, started: float) -> ProviderAnswer:
        try:
            notifier, message = self._notifiers[claimed.channel], message_of(claimed, self._context)
        except Exception as bug:  # nothing was sent; an exception would end this thread unnoticed
            _log.critical("cannot write the message: %s", type(bug).__name__)
            return NotAccepted("a bug", _RETRY_AFTER_BUG)
        if time.monotonic() - started > self._lease.total_seconds() / 2:
            # This process was suspended. Another one may have taken over, and looks for a message that was never sent.
            return NotAccepted("the lease is nearly over", timedelta(0))
        failpoints.reached("before_post")
        try:
            answer = notifier.send(message)
        except Exception as bug:  # possibly after the message left
            _log.critical("notifier %s raised %s", notifier.name, type(bug).__name__)
            answer = Unknown(type(bug).__name__)
        failpoints.reached("after_post_before_record")
        return answer

    def look_up(self, lookup: PendingLookup) -> LookupResult:
        """Look for a message at the provider."""
        notifier = self._notifiers.get(lookup.channel)
        if notifier is None or lookup.to is None:
            return LookupResult(lookup, None, failed=True)
        try:
            return LookupResult(lookup, notifier.find(lookup.to, lookup.link_hash, lookup.sending_at))
        except LookupUnavailable:
            return LookupResult(lookup, None, failed=True)
        except Exception as bug:
            _log.critical("notifier %s raised %s in a lookup", notifier.name, type(bug).__name__)
            return LookupResult(lookup, None, failed=True)


def message_of(claimed: Claimed, context: MessageContext) -> Message:
    """The message of a claimed ask, with what each kind of channel needs of it."""
    key = claimed.key
    link = f"{context.public_url}/f/{claimed.form_token}"
    language = best_language(claimed.language)
    asked = AskedQuestion(
        language,
        key.purpose,
        context.company,
        key.order_id,
        link,
        claimed.role,
        context.own_words,
        claimed.response,
    )
    unsubscribe_url = f"{context.public_url}/u/{claimed.unsubscribe_token}"
    return Message(
        to=claimed.to,
        body=question_text(*asked, unsubscribe_url=unsubscribe_url if claimed.one_way else None),
        link_hash=hashed(claimed.form_token),
        callback_token=claimed.callback_token,
        valid_for=claimed.valid_for,
        sending_at=claimed.sending_at,
        account_id=claimed.account_id,
        contact_id=key.contact_id,
        order_id=key.order_id,
        mail=question_mail(asked, unsubscribe_url) if "@" in claimed.to else None,
        template=TemplateContent(language, claimed.response or key.purpose, context.company, key.order_id, link),
    )
