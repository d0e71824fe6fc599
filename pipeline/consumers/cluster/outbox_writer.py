"""What a writer does where others process: it stores what comes in, and notes that it has to be published."""

from collections.abc import Sequence
from datetime import UTC, datetime
from itertools import islice

from sqlalchemy import Engine

from pipeline.consumers import intake
from pipeline.consumers.intake import Incoming, Outcome, Taken
from pipeline.consumers.runtime.embedded import retrying
from pipeline.store.people.vault import Vault


class Appender:
    """Puts batches into the journal and the outbox, on an engine of a cluster."""

    def __init__(self, engine: Engine, vault: Vault) -> None:
        self._engine = engine
        self._vault = vault
        self._retrying = retrying()

    def absorb_all(self, batches: Sequence[Sequence[Incoming]]) -> list[Taken]:
        """Store the batches of several callers, all in one transaction. Returns what became of each at the door."""
        each = iter(self._retrying(self._store, [incoming for batch in batches for incoming in batch]))
        return [intake.tally(islice(each, len(batch))) for batch in batches]

    def drain(self) -> int:
        """Nothing: workers do."""
        return 0

    def tick(self, now: datetime) -> None:
        """Nothing: workers do."""

    def _store(self, batch: Sequence[Incoming]) -> list[Outcome]:
        with self._engine.begin() as connection:
            outcomes, _ = intake.take(connection, self._vault, batch, datetime.now(UTC))
        intake.count(outcomes)
        return outcomes
