"""A cluster without a broker: any number of workers on one PostgreSQL database."""

from pipeline.consumers.cluster.relayed_event import RelayedEvent
from pipeline.consumers.cluster.runner import ClusterRunner
from pipeline.domain.asking.policy import Policy
from pipeline.domain.detection.segments import parse_levels
from pipeline.domain.setup import Setup
from pipeline.store.db.engine import connect
from pipeline.store.journal.shared_journal import SharedJournal
from pipeline.store.store import Store
from tests.support.running.embedded import VAULT
from tests.support.running.steps import relay


class Cluster:
    """One database, and the workers on it."""

    def __init__(self, url: str, policy: Policy, levels: str, sending: bool = False) -> None:
        self.engine = connect(url, shared=True)
        self.store = Store(self.engine, VAULT, SharedJournal())
        self.setup = Setup(parse_levels(levels), 1.0, policy, sending)

    def worker(self) -> ClusterRunner:
        """Another worker, for a separate thread."""
        return ClusterRunner(self.store, self.setup)

    def relay(self) -> list[RelayedEvent]:
        """The events in the outbox, as workers receive them."""
        return relay(self.engine, self.setup.levels)
