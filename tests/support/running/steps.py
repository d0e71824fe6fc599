"""A cluster with the interface of the embedded runner: each event is processed with all its consequences.

So a test of behaviour runs in both modes, with a relay and real topics in between or straight from the outbox.
"""

from collections.abc import Callable, Sequence
from contextlib import suppress
from datetime import datetime
from functools import partial

from sqlalchemy import Engine, delete, make_url, select

from pipeline.consumers.cluster.outbox_writer import OutboxWriter
from pipeline.consumers.cluster.relayed_event import FLEET, RelayedEvent, part_of
from pipeline.consumers.cluster.runner import ClusterRunner
from pipeline.consumers.intake import Incoming, IngestResult
from pipeline.consumers.runtime.embedded import EmbeddedRunner
from pipeline.domain.detection.segments import Level, segments_counted
from pipeline.domain.events.contract import EVIDENCE, BadEvent
from pipeline.domain.events.decoding import decode
from pipeline.domain.setup import Setup
from pipeline.store.db.engine import connect
from pipeline.store.journal.embedded_journal import EmbeddedJournal
from pipeline.store.journal.outbox import DEAD_LETTERS
from pipeline.store.journal.shared_journal import SharedJournal
from pipeline.store.people.vault import Vault
from pipeline.store.schema.journal import journal, outbox
from pipeline.store.store import Store
from tests.support.running.wire import wire

_NAME = "cluster"  # the application name that marks the URL of a cluster's database
_Relay = Callable[[], list[RelayedEvent]]


def for_cluster(url: str, *topics: str) -> str:
    """The URL that makes `runtime` use a database as a cluster's. `topics`: broker and prefix of topics in between."""
    name = " ".join([_NAME, *topics])
    return make_url(url).update_query_dict({"application_name": name}).render_as_string(hide_password=False)


def runtime(url: str, vault: Vault, setup: Setup, batch: int) -> EmbeddedRunner:
    """The embedded runner on a migrated database; on a cluster's database a runner that does the same step by step."""
    name, *topics = str(make_url(url).query.get("application_name", "")).split(" ")
    if name != _NAME:
        return EmbeddedRunner(Store(connect(url), vault, EmbeddedJournal()), setup, batch)
    store = Store(connect(url, shared=True), vault, SharedJournal())
    hand_over = _through(store, setup, *topics) if topics else partial(relay, store.engine, setup.levels)
    return ClusterSteps(store, setup, batch, hand_over)


def _through(store: Store, setup: Setup, bootstrap: str, prefix: str) -> _Relay:
    """Relay through real topics."""
    between = wire(bootstrap, prefix)
    relaying = between.relay(store, setup.levels)

    def _hand_over() -> list[RelayedEvent]:
        return between.read() if relaying.run_once() else []

    return _hand_over


def relay(engine: Engine, levels: Sequence[Level]) -> list[RelayedEvent]:
    """Empty the outbox. Returns its events as workers receive them, in the order of the journal."""
    relayed = []
    with engine.begin() as connection:
        events = outbox.c.shard != DEAD_LETTERS
        gone = list(connection.execute(delete(outbox).where(events).returning(outbox.c.seq)).scalars())
        for row in connection.execute(select(journal).where(journal.c.seq.in_(gone)).order_by(journal.c.seq)):
            parts = [] if row.outgoing else [""]
            if row.type in EVIDENCE:
                dimensions = decode(row.payload.encode()).data.dimensions
                parts += [FLEET] if row.type != "embellishment.observed" else []
                parts += map(part_of, segments_counted(dimensions, levels))
            relayed += [RelayedEvent(row.seq, part, row.payload.encode(), row.received_at) for part in parts]
    return relayed


class ClusterSteps(EmbeddedRunner):
    """Stores, relays and processes event by event, as a web process, a relay and a worker do."""

    def __init__(self, store: Store, setup: Setup, batch: int, hand_over: _Relay) -> None:
        super().__init__(store, setup, batch)
        self._hand_over = hand_over
        self._writer = OutboxWriter(store)
        self._worker = ClusterRunner(store, setup)

    def store_batches(self, batches: Sequence[Sequence[Incoming]]) -> list[IngestResult]:
        """Store and process each event by itself. Returns the result of each batch."""
        return [IngestResult.total(map(self._step, batch)) for batch in batches]

    def process_pending(self) -> int:
        """Relay and process until nothing waits in the outbox."""
        done = 0
        while relayed := self._hand_over():
            for event in relayed:
                stage = self._worker.process_evidence if event.part else self._worker.process_events
                done += stage([event], event.received_at).new
        return done

    def tick(self, now: datetime) -> None:
        """Fire the timers due by `now`."""
        while self._worker.tick(now, 1):
            self.process_pending()

    def _step(self, incoming: Incoming) -> IngestResult:
        with suppress(BadEvent):  # the intake detects it, too, and stores a dead letter
            self.tick(incoming.received_at or decode(incoming.raw).received_at)
        (result,) = self._writer.store_batches([[incoming]])
        self.process_pending()
        return result
