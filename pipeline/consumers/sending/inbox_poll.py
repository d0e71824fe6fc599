"""Texts whose webhook was lost: the provider's list is read every few minutes, and what nobody told us of is heard.

It goes the way of every text, so one that the webhook brings as well counts once. The list may lag behind, so each look
begins well before the moment up to which the last one was complete; only a complete look moves that moment on.
"""

import logging
from collections.abc import Callable
from datetime import datetime, timedelta

from sqlalchemy import Engine

from pipeline import metrics
from pipeline.consumers import conversation
from pipeline.consumers.conversation import Inbound
from pipeline.consumers.runtime.background import Background
from pipeline.consumers.runtime.embedded import passes
from pipeline.domain.answers.replies import Reader
from pipeline.notifiers.port import CannotLook, Inbox, Received
from pipeline.store.asks import conversations
from pipeline.store.db.engine import reading
from pipeline.store.journal import journal
from pipeline.store.people.vault import Vault

SOURCE = "twilio"  # by webhook or from the list, a text is the same text
OVERLAP = timedelta(hours=4)  # how late the list may show a text
WEBHOOKS_TURN = timedelta(minutes=2)  # a younger text is left to its webhook, which can still be answered
FIRST = timedelta(days=1)  # how far the first look of an installation goes back
_READ_UNTIL = "inbound.read_until"
_log = logging.getLogger(__name__)


class InboundPoll(Background):
    """Looks through the provider's list in a thread of its own: the provider may be slow.

    `told` is called after something was put into the journal. Trouble that passes is over with the next look; anything
    else is a bug: `ended` gets the error, and the process has to follow.
    """

    def __init__(
        self,
        engine: Engine,
        vault: Vault,
        inbox: Inbox,
        reader: Reader,
        now: Callable[[], datetime],
        *,
        every: timedelta,
        told: Callable[[], object],
    ) -> None:
        super().__init__("inbound poll")
        self._engine = engine
        self._vault = vault
        self._inbox = inbox
        self._reader = reader
        self._now = now
        self._every = every
        self._told = told

    def look(self, now: datetime) -> int:
        """Hear what the list has and we have not, oldest first. Returns how many texts that were. Raises CannotLook."""
        listed = []
        for received in self._inbox.received(self._read_until(now) - OVERLAP):
            if self._stopping:
                return 0
            if received.received_at <= now - WEBHOOKS_TURN:
                listed.append(received)
        with reading(self._engine) as connection:
            lost = [one for one in reversed(listed) if not conversations.heard(connection, SOURCE, one.id)]
        heard = sum(self._hear(received, now) for received in lost)
        with self._engine.begin() as connection:
            journal.put(connection, _READ_UNTIL, journal.as_text(now))
        return heard

    def _read_until(self, now: datetime) -> datetime:
        """The moment up to which the list was read; where that never happened, when it should have begun."""
        with self._engine.begin() as connection:
            text = journal.get(connection, _READ_UNTIL)
            if text is None:
                text = journal.as_text(now - FIRST)
                journal.put(connection, _READ_UNTIL, text)
        return datetime.fromisoformat(text)

    def _hear(self, received: Received, now: datetime) -> bool:
        sender = self._vault.phone_digest(received.sender)
        # Its moment is that of the provider: it may have been written before a question that was put since.
        inbound = Inbound(SOURCE, received.id, sender, received.text, received.received_at, answerable=False)
        with self._engine.begin() as connection:
            heard = conversation.hear(connection, self._vault, inbound, self._reader, now)
        if heard.new:  # else the webhook came meanwhile
            metrics.INBOUND_FOUND.inc()
            self._told()
        return heard.new

    def _work(self) -> None:
        self._try()
        while self._pause(self._every.total_seconds()):
            self._try()

    def _try(self) -> None:
        try:
            found = self.look(self._now())
        except Exception as error:
            if not (isinstance(error, CannotLook) or passes(error)):
                raise
            metrics.INBOUND_POLLS.labels("failed").inc()
            why = error if isinstance(error, CannotLook) else type(error).__name__
            _log.warning("the list of texts was not read (%s): the next look begins where this one did", why)
        else:
            metrics.INBOUND_POLLS.labels("done").inc()
            if found:
                _log.warning("texts that came by the provider's list and not by its webhook: %d", found)
