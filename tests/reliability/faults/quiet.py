"""What must come of a trial: the same told to one process, one after the other, each once, and nothing breaks."""

from collections.abc import Collection, Sequence
from datetime import UTC, datetime
from tempfile import TemporaryDirectory

from pipeline.consumers.embedded import Embedded
from pipeline.consumers.intake import Incoming
from pipeline.domain.detection.segments import parse_levels
from pipeline.notifiers.port import Accepted, Message, Sent, Unknown
from pipeline.settings import Settings
from pipeline.store.db.engine import connect, migrate
from pipeline.store.unit_of_work import Setup
from tests.reliability.faults.judging import Essence, essence
from tests.reliability.faults.told import Item, phone
from tests.support.builders import VAULT
from tests.support.running.live import dispatcher

# As `tests.support.running.roles` sets it: nobody is asked at night, except here.
POLICY = Settings(quiet_hours="00:00-00:00").policy
SETUP = Setup(parse_levels("depot:20,carrier:10"), 1.0, POLICY, sending=True)


class _Line:
    """Takes every message; of those to some numbers nobody hears what became of them."""

    name = "line"

    def __init__(self, lost: Collection[str]) -> None:
        self._lost = lost

    def send(self, message: Message) -> Sent:
        return Unknown("lost") if message.to in self._lost else Accepted(f"line-{message.link_hash}")

    def find(self, to: str, link_hash: str, since: datetime) -> None:
        return None


def quiet(items: Sequence[Item], lost: Collection[str]) -> Essence:
    """What is left of it. `lost` names the orders whose question was on its way when its sender died."""
    now = datetime.now(UTC)
    with TemporaryDirectory() as folder:
        url = f"sqlite:///{folder}/quiet.db"
        migrate(url)
        runtime = Embedded(connect(url), VAULT, SETUP, 1_000)
        for _ in runtime.take(Incoming(one.raw, one.topic, "quiet", None, one.received_at or now) for one in items):
            pass
        runtime.runner.tick(now)
        sender = dispatcher(runtime.engine, _Line({phone(order_id) for order_id in lost}), POLICY)
        sender.run_once(now)
        sender.stop()
        runtime.runner.drain()
        found = essence(runtime.engine)
        runtime.engine.dispose()
    return found
