"""A cluster that is used as the embedded mode is: one event after the other, with all that follows from it.

So a test of what must happen runs on both: with a relay and real topics in between, or with what is in the outbox
handed over directly.
"""

from collections.abc import Callable, Sequence
from contextlib import suppress
from datetime import datetime
from functools import partial

from sqlalchemy import Engine, delete, make_url, select

from pipeline.consumers.cluster.outbox_writer import Appender
from pipeline.consumers.cluster.runner import FLEET, ClusterRunner, Relayed, part_of
from pipeline.consumers.embedded import Embedded
from pipeline.consumers.intake import Incoming, Taken
from pipeline.consumers.runtime.embedded import Runner
from pipeline.domain.detection.segments import Level, segments_of
from pipeline.domain.events.contract import BadEvent
from pipeline.domain.events.decoding import decode
from pipeline.store.db.engine import connect
from pipeline.store.people.vault import Vault
from pipeline.store.schema.tables import journal, outbox
from pipeline.store.unit_of_work import Setup
from tests.support.running.wire import wire

_NAME = "cluster"  # what a connection calls itself whose database is to be used as a cluster's
_Relay = Callable[[], list[Relayed]]


def for_cluster(url: str, *topics: str) -> str:
    """The same database, to be used as a cluster's; `topics`: with those of that broker and prefix in between."""
    name = " ".join([_NAME, *topics])
    return make_url(url).update_query_dict({"application_name": name}).render_as_string(hide_password=False)


def runtime(url: str, vault: Vault, setup: Setup, batch: int) -> Embedded:
    """The embedded runtime on a migrated database, or what does the same on that of a cluster."""
    name, *topics = str(make_url(url).query.get("application_name", "")).split(" ")
    if name != _NAME:
        return Embedded(connect(url), vault, setup, batch)
    made = Embedded(connect(url, cluster=True), vault, setup, batch)
    hand_over = _through(made.engine, vault, setup, *topics) if topics else partial(relay, made.engine, setup.levels)
    made.runner = _Steps(made.engine, vault, setup, batch, hand_over)
    return made


def _through(engine: Engine, vault: Vault, setup: Setup, bootstrap: str, prefix: str) -> _Relay:
    """What waits in the outbox, over the topics."""
    between = wire(bootstrap, prefix)
    relaying = between.relay(engine, vault, setup.levels)

    def _hand_over() -> list[Relayed]:
        return between.told() if relaying.run_once() else []

    return _hand_over


def relay(engine: Engine, levels: Sequence[Level]) -> list[Relayed]:
    """Take everything off the outbox, as it would come to the workers, in the order of the journal."""
    told = []
    with engine.begin() as connection:
        gone = list(connection.execute(delete(outbox).returning(outbox.c.seq)).scalars())
        for row in connection.execute(select(journal).where(journal.c.seq.in_(gone)).order_by(journal.c.seq)):
            parts = [] if row.outgoing else [""]
            if row.type == "fulfilment.compared":
                dimensions = decode(row.payload.encode()).data.dimensions
                parts += [FLEET, *map(part_of, segments_of(dimensions, levels))]
            told += [Relayed(row.seq, part, row.payload.encode(), row.received_at) for part in parts]
    return told


class _Steps(Runner):
    """Stores, hands over and processes event by event."""

    def __init__(self, engine: Engine, vault: Vault, setup: Setup, batch: int, hand_over: _Relay) -> None:
        super().__init__(engine, vault, setup, batch)
        self._hand_over = hand_over
        self._appender = Appender(engine, vault)
        self._worker = ClusterRunner(engine, vault, setup)

    def absorb_all(self, batches: Sequence[Sequence[Incoming]]) -> list[Taken]:
        """What comes of each event, summed up for every caller."""
        return [Taken(*map(sum, zip((0, 0, 0), *map(self._step, batch), strict=True))) for batch in batches]

    def drain(self) -> int:
        """Hand over what waits, until nothing follows from it any more."""
        done = 0
        while told := self._hand_over():
            for one in told:
                stage = self._worker.observe if one.part else self._worker.take
                done += stage([one], one.received_at).new
        return done

    def tick(self, now: datetime) -> None:
        """Fire the timers due by `now`."""
        while self._worker.tick(now, 1):
            self.drain()

    def _step(self, incoming: Incoming) -> Taken:
        with suppress(BadEvent):  # the door says so
            self.tick(incoming.received_at or decode(incoming.raw).received_at)
        (taken,) = self._appender.absorb_all([[incoming]])
        self.drain()
        return taken
