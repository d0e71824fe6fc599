"""The reference for a trial: the same events in one process, in the order of receipt, each once, without faults."""

from collections.abc import Collection, Sequence
from datetime import UTC, datetime
from tempfile import TemporaryDirectory

from pipeline.consumers.intake import Incoming
from pipeline.consumers.runtime.embedded import EmbeddedRunner
from pipeline.domain.detection.segments import parse_levels
from pipeline.domain.setup import Setup
from pipeline.notifiers.port import Accepted, Message, ProviderAnswer, Unknown
from pipeline.settings import Settings
from pipeline.store.db.engine import connect
from pipeline.store.journal.embedded_journal import EmbeddedJournal
from pipeline.store.schema.upgrade import migrate
from pipeline.store.store import Store
from tests.reliability.faults.checks import FinalState, final_state
from tests.reliability.faults.workload import Item, phone
from tests.support.running.embedded import VAULT
from tests.support.running.sending import dispatcher

# The quiet hours of `tests.support.running.roles`: none.
POLICY = Settings(quiet_hours="00:00-00:00").policy
SETUP = Setup(parse_levels("depot:20,carrier:10"), 1.0, POLICY, sending=True)


class _ReferenceNotifier:
    """Accepts every message, except that those to the `lost` numbers have an unknown outcome."""

    name = "reference"

    def __init__(self, lost: Collection[str]) -> None:
        self._lost = lost

    def send(self, message: Message) -> ProviderAnswer:
        return Unknown("lost") if message.to in self._lost else Accepted(f"reference-{message.link_hash}")

    def find(self, to: str, link_hash: str, since: datetime) -> None:
        return None


def reference_run(items: Sequence[Item], lost: Collection[str]) -> FinalState:
    """The final state after events in the order of receipt.

    `lost`: the orders whose question has an unknown outcome in the trial.
    """
    now = datetime.now(UTC)
    with TemporaryDirectory() as folder:
        url = f"sqlite:///{folder}/reference.db"
        migrate(url)
        runtime = EmbeddedRunner(Store(connect(url), VAULT, EmbeddedJournal()), SETUP, 1_000)
        for _ in runtime.ingest_all(
            Incoming(one.raw, one.topic, "reference", None, one.received_at or now) for one in items
        ):
            pass
        runtime.tick(now)
        sender = dispatcher(runtime.store, _ReferenceNotifier({phone(order_id) for order_id in lost}), POLICY)
        sender.run_once(now)
        sender.stop()
        runtime.process_pending()
        found = final_state(runtime.engine)
        runtime.engine.dispose()
    return found
