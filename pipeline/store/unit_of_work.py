"""One transaction of processors: what they read and change is written together or not at all."""

from collections import defaultdict, deque
from datetime import datetime
from functools import cached_property

import msgspec
from sqlalchemy import Connection, Table

from pipeline.domain.events.cloudevents import envelope
from pipeline.domain.events.contract import OWN_SOURCE, Event, key_of
from pipeline.domain.setup import Setup
from pipeline.store.asks import inbox as inbox_rows
from pipeline.store.asks.ask_store import AskStore
from pipeline.store.asks.inbox import Clarified
from pipeline.store.db.bulk import Row, insert
from pipeline.store.evidence.evidence import EvidenceStore
from pipeline.store.journal.journal import Entry, Journal
from pipeline.store.orders.orders import OrderStore
from pipeline.store.orders.timers import TimerStore
from pipeline.store.orders.tracking import TrackingStore
from pipeline.store.schema.answers import answers
from pipeline.store.schema.inbox import inbox
from pipeline.store.schema.orders import claims


class UnitOfWork:
    """What one transaction reads and changes. Before `flush` it writes only what its own reads depend on."""

    def __init__(self, connection: Connection, journal: Journal, setup: Setup, timers: TimerStore) -> None:
        self.connection = connection
        self.setup = setup
        self.orders = OrderStore(connection, setup.levels)
        self.asks = AskStore(connection, setup.policy)
        self.timers = timers
        self.tracking = TrackingStore(connection)
        self.unclaimed: list[Event] = []
        """Events of a tracking number that no order has claimed in time: they become dead letters."""
        self._journal = journal
        self._emitted: deque[Event] = deque()
        self._entries: list[Entry] = []
        self._rows: dict[Table, list[Row]] = defaultdict(list)
        self._clarified: list[Clarified] = []

    @cached_property
    def evidence(self) -> EvidenceStore:
        """The evidence. Only questions and answers need it, so it is created at its first use."""
        return EvidenceStore(self.connection)

    def emit(self, kind: str, event_id: str, now: datetime, data: msgspec.Struct) -> None:
        """Append an event of ours to the journal, and queue it for our own processors."""
        payload = envelope(OWN_SOURCE, event_id, kind, now, data).decode()
        self._emitted.append(Event(OWN_SOURCE, event_id, kind, now, now, False, data))
        self._entries.append(Entry(OWN_SOURCE, event_id, kind, True, now, payload, key_of(data)))

    def next_emitted(self) -> Event | None:
        """Remove and return the oldest queued event; None: the queue is empty."""
        return self._emitted.popleft() if self._emitted else None

    def record_claim(self, row: Row) -> None:
        """Append a revision of a claim."""
        self._rows[claims].append(row)

    def record_answer(self, row: Row) -> None:
        """Append an answer."""
        self._rows[answers].append(row)

    def record_unread(self, row: Row) -> None:
        """Add a reply that a person has to read (`asks.inbox.item_row`)."""
        self._rows[inbox].append(row)

    def record_clarified(self, clarified: Clarified) -> None:
        """Record that a person has stated something codable: what they wrote before need not be read any more."""
        self._clarified.append(clarified)

    def flush(self) -> None:
        """Write everything. The caller commits."""
        self.orders.flush()
        for table, rows in self._rows.items():
            insert(self.connection, table, rows)
        self._rows.clear()
        inbox_rows.clarify(self.connection, self._clarified)
        self._clarified.clear()
        self.asks.flush()
        if "evidence" in vars(self):  # it was used
            self.evidence.flush()
        self.timers.flush()
        self.tracking.flush()
        self._journal.append(self.connection, self._entries)
        self.asks.flush_opt_outs()
        self.orders.flush_figures()
