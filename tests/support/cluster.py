"""A cluster without a broker: any number of workers on one PostgreSQL database, and a relay that hands events over."""

from collections.abc import Iterable, Iterator, Sequence
from contextlib import suppress
from datetime import datetime
from itertools import islice

from sqlalchemy import Engine, delete, select

from pipeline.consumers.appender import Appender
from pipeline.consumers.cluster_runner import FLEET, ClusterRunner, Relayed, part_of
from pipeline.consumers.intake import Incoming, Taken
from pipeline.domain.eligibility import Policy
from pipeline.domain.events import BadEvent, decode
from pipeline.domain.segments import Level, parse_levels, segments_of
from pipeline.store.engine import connect
from pipeline.store.tables import journal, outbox
from pipeline.store.unit_of_work import Setup
from tests.builders import VAULT


def relay(engine: Engine, levels: Sequence[Level]) -> list[Relayed]:
    """Take everything off the outbox, as it would come to the workers, in the order of the journal."""
    told = []
    with engine.begin() as connection:
        gone = connection.execute(delete(outbox).returning(outbox.c.seq)).scalars()
        query = select(journal).where(journal.c.seq.in_(list(gone))).order_by(journal.c.seq)
        for row in connection.execute(query):
            parts = [] if row.outgoing else [""]
            if row.type == "fulfilment.compared":
                dimensions = decode(row.payload.encode()).data.dimensions
                parts += [FLEET, *map(part_of, segments_of(dimensions, levels))]
            told += [Relayed(row.seq, part, row.payload.encode(), row.received_at) for part in parts]
    return told


class Cluster:
    """One database and whoever works on it; each worker is a `ClusterRunner` that another thread may have."""

    def __init__(self, url: str, policy: Policy | None = None, levels: str = "depot:20,carrier:10") -> None:
        self.engine = connect(url, cluster=True)
        self.setup = Setup(parse_levels(levels), 1.0, policy or Policy())

    def worker(self) -> ClusterRunner:
        """One more worker."""
        return ClusterRunner(self.engine, VAULT, self.setup)

    def relay(self) -> list[Relayed]:
        """Everything that is to be handed over now."""
        return relay(self.engine, self.setup.levels)


class StepByStep:
    """A cluster that is used as the embedded runtime is: one event after the other, and all that follows from it."""

    def __init__(self, url: str, policy: Policy | None = None, levels: str = "depot:20,carrier:10") -> None:
        self._cluster = Cluster(url, policy, levels)
        self.engine = self._cluster.engine
        self.runner = self
        self._appender = Appender(self.engine, VAULT)
        self._worker = self._cluster.worker()

    def take(self, incoming: Iterable[Incoming]) -> Iterator[Taken]:
        """Have events stored at the door, relayed and processed. Yields what became of every hundred."""
        rest = iter(incoming)
        while batch := list(islice(rest, 100)):
            yield Taken(*map(sum, zip(*map(self._take, batch), strict=True)))

    def tick(self, now: datetime) -> None:
        """Fire the timers due by `now`."""
        while self._worker.tick(now, 500):
            self.drain()

    def drain(self) -> None:
        """Hand over what waits, until nothing follows from it any more."""
        while told := self._cluster.relay():
            for one in told:
                stage = self._worker.observe if one.part else self._worker.take
                stage([one], one.received_at)

    def _take(self, incoming: Incoming) -> Taken:
        with suppress(BadEvent):  # the door says so
            self.tick(incoming.received_at or decode(incoming.raw).received_at)
        (taken,) = self._appender.absorb_all([[incoming]])
        self.drain()
        return taken
