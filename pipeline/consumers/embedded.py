"""The embedded runtime: one process, the journal in the database is the log, nothing else to install."""

from collections.abc import Iterable, Iterator
from itertools import islice

from sqlalchemy import Engine

from pipeline.consumers.intake import Incoming, Taken
from pipeline.consumers.runtime.embedded import Runner
from pipeline.store.people.vault import Vault
from pipeline.store.unit_of_work import Setup


class Embedded:
    """Takes events in and processes them, in one process and one database."""

    def __init__(self, engine: Engine, vault: Vault, setup: Setup, batch: int) -> None:
        self.engine = engine
        self.runner = Runner(engine, vault, setup, batch)
        self._batch = batch

    def take(self, incoming: Iterable[Incoming]) -> Iterator[Taken]:
        """Store and process events batch by batch; yields what became of each batch when all of it is committed."""
        rest = iter(incoming)
        while batch := list(islice(rest, self._batch)):
            yield self.runner.absorb(batch)
