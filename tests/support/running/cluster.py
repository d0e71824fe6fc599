"""A cluster without a broker: any number of workers on one PostgreSQL database."""

from pipeline.consumers.cluster.runner import ClusterRunner, Relayed
from pipeline.domain.asking.policy import Policy
from pipeline.domain.detection.segments import parse_levels
from pipeline.store.db.engine import connect
from pipeline.store.unit_of_work import Setup
from tests.support.builders import VAULT
from tests.support.running.steps import relay


class Cluster:
    """One database and whoever works on it."""

    def __init__(self, url: str, policy: Policy, levels: str, sending: bool = False) -> None:
        self.engine = connect(url, cluster=True)
        self.setup = Setup(parse_levels(levels), 1.0, policy, sending)

    def worker(self) -> ClusterRunner:
        """One more worker, for a thread of its own."""
        return ClusterRunner(self.engine, VAULT, self.setup)

    def relay(self) -> list[Relayed]:
        """Everything that is to be handed over now."""
        return relay(self.engine, self.setup.levels)
