"""One transaction of processors: what they read and change is written together or not at all."""

from collections import defaultdict, deque
from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime
from functools import cached_property

import msgspec
from sqlalchemy import Connection, Table

from pipeline.domain.asking.policy import Policy
from pipeline.domain.detection import baseline
from pipeline.domain.detection.segments import Level
from pipeline.domain.events.cloudevents import envelope
from pipeline.domain.events.contract import OWN_SOURCE, Event, key_of
from pipeline.store.asks.ask_store import AskStore
from pipeline.store.db.bulk import Row, insert
from pipeline.store.evidence.evidence import EvidenceStore
from pipeline.store.journal.journal import Entry, Journal
from pipeline.store.orders.orders import OrderStore
from pipeline.store.orders.timers import TimerStore
from pipeline.store.schema.answers import answers
from pipeline.store.schema.orders import claims


@dataclass(frozen=True)
class Setup:
    """The configuration of processors: levels and alert budget as frozen with the database, the policy as set now."""

    levels: tuple[Level, ...]
    alerts_a_year: float
    policy: Policy
    sending: bool = False  # whether questions are really sent; if not, a decision to ask counts as asked

    @cached_property
    def thresholds(self) -> Mapping[str, float]:
        """By level, the threshold of its segments: they alert falsely at most once in so many days on average."""
        return {
            level.name: baseline.threshold(level.capacity, len(self.levels), self.alerts_a_year)
            for level in self.levels
        }


class UnitOfWork:
    """What one transaction reads and changes. Before `flush` it writes only what its own reads depend on."""

    def __init__(self, connection: Connection, journal: Journal, setup: Setup, timers: TimerStore) -> None:
        self.connection = connection
        self.setup = setup
        self.orders = OrderStore(connection, setup.levels)
        self.asks = AskStore(connection, setup.policy)
        self.timers = timers
        self.evidence = EvidenceStore(connection)
        self._journal = journal
        self._emitted: deque[Event] = deque()
        self._entries: list[Entry] = []
        self._rows: dict[Table, list[Row]] = defaultdict(list)

    def emit(self, kind: str, event_id: str, now: datetime, data: msgspec.Struct) -> None:
        """Append an event of ours to the journal, and queue it for our own processors."""
        payload = envelope(OWN_SOURCE, event_id, kind, now, data).decode()
        self._emitted.append(Event(OWN_SOURCE, event_id, kind, now, now, False, data))
        self._entries.append(Entry(OWN_SOURCE, event_id, kind, True, now, payload, key_of(data)))

    def next_emitted(self) -> Event | None:
        """The oldest queued event, taken out of the queue; None: the queue is empty."""
        return self._emitted.popleft() if self._emitted else None

    def record_claim(self, row: Row) -> None:
        """Append a revision of a claim."""
        self._rows[claims].append(row)

    def record_answer(self, row: Row) -> None:
        """Append an answer."""
        self._rows[answers].append(row)

    def flush(self) -> None:
        """Write everything. The caller commits."""
        self.orders.flush()
        for table, rows in self._rows.items():
            insert(self.connection, table, rows)
        self._rows.clear()
        self.asks.flush()
        self.evidence.flush()
        self.timers.flush()
        self._journal.append(self.connection, self._entries)
        self.asks.flush_opt_outs()
        self.orders.flush_figures()
