"""Finds inbound texts whose webhook call was lost: reads the provider's list of texts every few minutes.

A text from the list is handled like any other, so a text of the webhook and of the list counts once. The list may lag
behind; each poll starts well before the end of the last complete one, and only a complete poll moves that end.
"""

import logging
from collections.abc import Callable
from datetime import datetime, timedelta

from pipeline import metrics
from pipeline.consumers.conversation import handling, texts
from pipeline.consumers.runtime.background import Background
from pipeline.consumers.runtime.retries import is_transient
from pipeline.domain.answers.replies import Reader
from pipeline.domain.asking.channels import SMS, Channel
from pipeline.notifiers.port import InboundText, Inbox, LookupUnavailable
from pipeline.store.asks import inbound_messages
from pipeline.store.db.engine import reading
from pipeline.store.journal import state
from pipeline.store.store import Store

OVERLAP = timedelta(hours=4)  # how late the list may show a text
WEBHOOK_TIME = timedelta(minutes=2)  # a younger text is left to its webhook, which can still be replied to
FIRST_POLL = timedelta(days=1)  # how far the first poll of an installation goes back
_READ_UNTIL = "inbound.read_until"  # name in the state table; of SMS, the first channel, as it is
_log = logging.getLogger(__name__)


class InboxPoll(Background):
    """Polls the list in its own thread, as the provider may be slow.

    `on_committed` is called after each text that was stored. A transient failure is retried with the next poll; any
    other ends the thread, `ended` carries the error, and the process stops.
    """

    def __init__(
        self,
        store: Store,
        channel: Channel,
        inbox: Inbox,
        reader: Reader,
        now: Callable[[], datetime],
        *,
        every: timedelta,
        on_committed: Callable[[], object],
    ) -> None:
        super().__init__("inbox poll")
        self._store = store
        self._channel = channel
        self._inbox = inbox
        self._reader = reader
        self._now = now
        self._every = every
        self._on_committed = on_committed
        self._read_until_key = _READ_UNTIL if channel == SMS else f"{_READ_UNTIL}.{channel.name}"

    def poll(self, now: datetime) -> int:
        """Handle the listed texts that are not stored yet, oldest first. Returns how many. Raises LookupUnavailable."""
        listed = []
        for text in self._inbox.received(self._read_until(now) - OVERLAP):
            if self._stopping:
                return 0
            listed.append(text)
        with self._store.engine.begin() as connection:
            handling.correct_times(connection, listed)
        with reading(self._store.engine) as connection:
            lost = [
                text
                for text in reversed(listed)
                if text.received_at <= now - WEBHOOK_TIME
                and not inbound_messages.is_stored(connection, text.source, text.message_id)
            ]
        handled = sum(self._handle(text, now) for text in lost)
        with self._store.engine.begin() as connection:
            state.put(connection, self._read_until_key, state.as_text(now))
        return handled

    def _read_until(self, now: datetime) -> datetime:
        """The end of the last complete poll; before the first one, the time from which texts count as lost."""
        with self._store.engine.begin() as connection:
            text = state.get(connection, self._read_until_key)
            if text is None:
                text = state.as_text(now - FIRST_POLL)
                state.put(connection, self._read_until_key, text)
        return datetime.fromisoformat(text)

    def _handle(self, text: InboundText, now: datetime) -> bool:
        # The time is the provider's: the text may have been written before the newest question was asked.
        inbound = texts.inbound(self._store, self._channel, text, answerable=False)
        with self._store.engine.begin() as connection:
            result = handling.handle_text(connection, self._store, inbound, self._reader, now)
        if result.new:  # else its webhook call came meanwhile
            metrics.INBOUND_FOUND.inc()
            self._on_committed()
        return result.new

    def _work(self) -> None:
        self._poll_or_log()
        while self._pause(self._every.total_seconds()):
            self._poll_or_log()

    def _poll_or_log(self) -> None:
        try:
            found = self.poll(self._now())
        except Exception as error:
            if not (isinstance(error, LookupUnavailable) or is_transient(error)):
                raise
            metrics.INBOUND_POLLS.labels("failed").inc()
            why = error if isinstance(error, LookupUnavailable) else type(error).__name__
            _log.warning("the list of inbound texts was not read (%s): the next poll starts where this one did", why)
        else:
            metrics.INBOUND_POLLS.labels("done").inc()
            if found:
                _log.warning("inbound texts found in the provider's list whose webhook call was lost: %d", found)
