"""One transaction of processors: what they read and change is written together or not at all."""

from collections import defaultdict, deque
from datetime import datetime
from functools import cached_property

import msgspec
from sqlalchemy import Connection, Table

from pipeline.domain.events.cloudevents import envelope
from pipeline.domain.events.contract import OWN_SOURCE, BadEvent, Event, FeedbackCorrected, key_of
from pipeline.domain.events.incidents import IncidentChanged
from pipeline.domain.setup import Setup
from pipeline.store.acts import corrections
from pipeline.store.asks import inbox as inbox_rows
from pipeline.store.asks.ask_store import AskStore
from pipeline.store.asks.inbox import Clarified
from pipeline.store.cases.cases import CaseStore
from pipeline.store.db import locks
from pipeline.store.db.bulk import Row, insert, upsert
from pipeline.store.evidence.evidence import EvidenceStore
from pipeline.store.evidence.sources import SourceStore
from pipeline.store.evidence.spreads import SpreadStore
from pipeline.store.journal.journal import Entry, Journal
from pipeline.store.notices import notices
from pipeline.store.orders.orders import OrderStore
from pipeline.store.orders.timers import TimerStore
from pipeline.store.orders.tracking import TrackingStore
from pipeline.store.schema.answers import answers, readings
from pipeline.store.schema.inbox import inbox
from pipeline.store.schema.orders import claims


class UnitOfWork:
    """What one transaction reads and changes. Before `flush` it writes only what its own reads depend on."""

    def __init__(self, connection: Connection, journal: Journal, setup: Setup, timers: TimerStore) -> None:
        self.connection = connection
        self.setup = setup
        self.orders = OrderStore(connection, setup.history.figured)
        self.asks = AskStore(connection, setup.policy)
        self.timers = timers
        self.tracking = TrackingStore(connection)
        self.sources = SourceStore(connection)
        self.unclaimed: list[tuple[Event, BadEvent]] = []
        """Events whose tracking number leads to no order, and why: they become dead letters."""
        self._journal = journal
        self._emitted: deque[Event] = deque()
        self._entries: list[Entry] = []
        self._notices: list[Row] = []
        self._rows: dict[Table, list[Row]] = defaultdict(list)
        self._clarified: list[Clarified] = []
        self._outdated: set[tuple[str, str]] = set()
        self._readings: dict[str, FeedbackCorrected] = {}
        self._corrected: dict[tuple[str, str], Row] = {}

    @cached_property
    def evidence(self) -> EvidenceStore:
        """The evidence. Only questions and answers need it, so it is created at its first use."""
        return EvidenceStore(self.connection, self.setup.rules_since)

    @cached_property
    def spreads(self) -> SpreadStore:
        """What is frozen about the spread of segments and the fleet's present state."""
        return SpreadStore(self.connection)

    @cached_property
    def cases(self) -> CaseStore:
        """The cases. Only complaints and acts need them. First comes `lock_case`, or `lock_incidents`."""
        return CaseStore(self.connection)

    def emit(self, kind: str, event_id: str, now: datetime, data: msgspec.Struct) -> None:
        """Append an event of ours to the journal, and queue it for our own processors."""
        payload = envelope(OWN_SOURCE, event_id, kind, now, data).decode()
        self._emitted.append(Event(OWN_SOURCE, event_id, kind, now, now, False, data))
        self._entries.append(Entry(OWN_SOURCE, event_id, kind, True, now, payload, key_of(data)))
        if isinstance(data, IncidentChanged) and not data.historic:
            self._notices.append(notices.row(event_id, kind, data, now))

    def lock_incidents(self) -> None:
        """Become the only writer of incidents until the transaction ends."""
        self._journal.lock(self.connection)  # first: whoever writes an act has to write to the journal, too
        locks.lock(self.connection, "incident", [""])

    def lock_case(self, order_id: str) -> None:
        """Become the only writer of the cases of an order until the transaction ends."""
        self._journal.lock(self.connection)  # first, as above
        locks.lock(self.connection, "order", [order_id])

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

    def record_outdated(self, order_id: str, contact_id: str) -> None:
        """Record that a contact has answered again: readings proposed of what they said before cannot count."""
        self._outdated.add((order_id, contact_id))

    def record_corrected(self, row: Row) -> None:
        """Keep what an answer states as corrected; its newest correction replaces the one before."""
        self._corrected[row["source"], row["event_id"]] = row

    def record_reading(self, item_id: str, correction: FeedbackCorrected) -> None:
        """Record that a person's reading of an answer counts: it waits no more, nor does what was said before it."""
        self._readings[item_id] = correction
        self._clarified.append(Clarified(correction.order_id, correction.contact_id, correction.at))

    def flush(self) -> None:
        """Write everything. The caller commits."""
        self.orders.flush()
        for table, rows in self._rows.items():
            insert(self.connection, table, rows)
        self._rows.clear()
        upsert(self.connection, readings, [row for _, row in sorted(self._corrected.items())])
        self._corrected.clear()
        self._flush_inbox()
        self.asks.flush()
        if "evidence" in vars(self):  # it was used
            self.evidence.flush()
        if "spreads" in vars(self):
            self.spreads.flush()
        if "cases" in vars(self):
            self.cases.flush()
        self.timers.flush()
        self.tracking.flush()
        self._journal.append(self.connection, self._entries)
        notices.record(self.connection, self._notices)
        self.asks.flush_opt_outs()
        self.orders.flush_shared()
        self.sources.flush()  # last: workers that note the same slot wait for each other here, and nowhere after it

    def _flush_inbox(self) -> None:
        """Readings first: what they end is not ended by what the customer says."""
        inbox_rows.end_read(self.connection, self._readings)
        inbox_rows.withdraw(self.connection, self._outdated)
        corrections.mark_replaced(self.connection, self._outdated)
        inbox_rows.clarify(self.connection, self._clarified)
        for of_inbox in (self._readings, self._outdated, self._clarified):
            of_inbox.clear()
