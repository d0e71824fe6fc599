"""The embedded runtime: one process, the journal in the database is the log, nothing else to install."""

from collections.abc import Iterable, Iterator
from datetime import UTC, datetime
from itertools import islice

from sqlalchemy import Engine

from pipeline.consumers import intake
from pipeline.consumers.intake import Incoming, Taken
from pipeline.consumers.runner import Runner, retrying
from pipeline.store.unit_of_work import Setup
from pipeline.store.vault import Vault


class Embedded:
    """Takes events in and processes them, in one process and one database."""

    def __init__(self, engine: Engine, vault: Vault, setup: Setup, batch: int) -> None:
        self.engine = engine
        self.runner = Runner(engine, vault, setup, batch)
        self._vault = vault
        self._batch = batch
        self._retrying = retrying()

    def take(self, incoming: Iterable[Incoming]) -> Iterator[Taken]:
        """Store and process events batch by batch; yields what became of each batch when all of it is committed."""
        rest = iter(incoming)
        self.runner.drain()  # what an earlier process stored and did not come to
        while batch := list(islice(rest, self._batch)):
            taken = self._retrying(self._store, batch)
            self.runner.drain()
            yield taken

    def _store(self, batch: list[Incoming]) -> Taken:
        with self.engine.begin() as connection:
            return intake.take(connection, self._vault, batch, datetime.now(UTC))
