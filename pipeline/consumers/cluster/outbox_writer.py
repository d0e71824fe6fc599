"""Stores events where workers process them: into the journal, and into the outbox for the relay to publish."""

from collections.abc import Sequence
from datetime import datetime

from pipeline.consumers import intake
from pipeline.consumers.intake import Incoming, IngestResult
from pipeline.consumers.runtime.retries import retrying
from pipeline.store.store import Store


class OutboxWriter:
    """The `BatchSink` of a cluster's web process."""

    def __init__(self, store: Store) -> None:
        self._store = store
        self._retrying = retrying()

    def store_batches(self, batches: Sequence[Sequence[Incoming]]) -> list[IngestResult]:
        """Store the batches of several callers in one transaction. Returns the result of each."""
        events = [incoming for batch in batches for incoming in batch]
        return intake.tally_each(batches, self._retrying(intake.ingest_unprocessed, self._store, events))

    def process_pending(self) -> int:
        """Do nothing: workers process."""
        return 0

    def tick(self, now: datetime) -> None:
        """Do nothing: workers fire the timers."""
