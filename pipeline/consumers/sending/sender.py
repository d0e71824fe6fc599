"""One message to a provider, or a look for one, without the database: what the threads of a dispatcher do.

Whatever happens comes back as a result: nobody would see an error in such a thread.
"""

import logging
import time
from collections.abc import Mapping
from dataclasses import dataclass
from datetime import timedelta

from pipeline.consumers.runtime import failpoints
from pipeline.domain.asking.ask_states import hashed
from pipeline.notifiers.port import Absent, CannotLook, Found, Message, NotAccepted, Notifier, Sent, Unknown
from pipeline.notifiers.wording.questions import sms
from pipeline.store.asks.claiming import Claimed, Sought

_AFTER_BUG = timedelta(minutes=15)
_log = logging.getLogger(__name__)


@dataclass(frozen=True)
class Wording:
    """What messages are made with."""

    company: str
    public_url: str


@dataclass(frozen=True)
class Tried:
    """How sending went."""

    claimed: Claimed
    sent: Sent


@dataclass(frozen=True)
class Looked:
    """What was found; where the look `failed`, nothing follows from it."""

    sought: Sought
    found: Found | Absent | None
    failed: bool = False


class Sender:
    """Sends and looks, in any number of threads. Nothing is sent when half of the `lease` is over."""

    def __init__(self, notifiers: Mapping[str, Notifier], wording: Wording, lease: timedelta) -> None:
        self._notifiers = notifiers
        self._wording = wording
        self._lease = lease

    def deliver(self, claimed: Claimed, started: float) -> Tried:
        """Send what was claimed at `started` (monotonic seconds), unless that is too long ago."""
        return Tried(claimed, self._send(claimed, started))

    def _send(self, claimed: Claimed, started: float) -> Sent:
        try:
            notifier, message = self._notifiers[claimed.channel], message_of(claimed, self._wording)
        except Exception as bug:  # nothing was sent, and nobody must die of it in a thread where none would see
            _log.critical("no message could be made: %s", type(bug).__name__)
            return NotAccepted("a bug", _AFTER_BUG)
        if time.monotonic() - started > self._lease.total_seconds() / 2:
            # This process stood still for long. Somebody may have taken over, and will look for what was never sent.
            return NotAccepted("the lease is nearly over", timedelta(0))
        failpoints.reached("before_post")
        try:
            sent = notifier.send(message)
        except Exception as bug:  # it may have happened after the message left
            _log.critical("notifier %s raised %s", notifier.name, type(bug).__name__)
            sent = Unknown(type(bug).__name__)
        failpoints.reached("after_post_before_record")
        return sent

    def find(self, sought: Sought) -> Looked:
        """Look for the message in the provider's list."""
        notifier = self._notifiers.get(sought.channel)
        if notifier is None or sought.to is None:
            return Looked(sought, None, failed=True)
        try:
            return Looked(sought, notifier.find(sought.to, sought.link_hash, sought.sending_at))
        except CannotLook:
            return Looked(sought, None, failed=True)
        except Exception as bug:
            _log.critical("notifier %s raised %s while looking", notifier.name, type(bug).__name__)
            return Looked(sought, None, failed=True)


def message_of(claimed: Claimed, wording: Wording) -> Message:
    """What a notifier is given to send."""
    key = claimed.key
    link = f"{wording.public_url}/f/{claimed.form_token}"
    return Message(
        to=claimed.to,
        body=sms(claimed.language, key.purpose, wording.company, key.order_id, link),
        link_hash=hashed(claimed.form_token),
        callback_token=claimed.callback_token,
        valid_for=claimed.valid_for,
        sending_at=claimed.sending_at,
        account_id=claimed.account_id,
        contact_id=key.contact_id,
        order_id=key.order_id,
    )
