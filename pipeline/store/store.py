"""What every part of an installation needs to work on its database."""

from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import timedelta

from sqlalchemy import Engine

from pipeline.domain.events.contract import Event
from pipeline.domain.events.receipt_time import Clock, PlainClock
from pipeline.domain.events.times import check_not_ahead
from pipeline.store.journal.journal import Journal
from pipeline.store.people.vault import Vault


@dataclass(frozen=True)
class Store:
    """An installation's database, the vault that seals personal data in it, and its journal."""

    engine: Engine
    vault: Vault
    journal: Journal
    # How far the time of an event may be ahead of its receipt.
    max_event_ahead: timedelta = field(default=timedelta(minutes=10), kw_only=True)
    event_types: Mapping[str, str] = field(default_factory=dict)  # our types of events, by those of other systems
    clock: Clock = field(default_factory=PlainClock, kw_only=True)  # the time of receipt

    def check_not_ahead(self, event: Event) -> None:
        """Raise BadEvent if an event claims to be far later than its receipt, unless receipts are behind themselves."""
        if not self.clock.held:
            check_not_ahead(event.time, event.received_at, self.max_event_ahead)
