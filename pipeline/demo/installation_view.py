"""An installation as the demo sees it: it ingests events, reads the questions asked, and stores checkpoints."""

from collections.abc import Iterable
from datetime import datetime

from pipeline.consumers.intake import Incoming
from pipeline.consumers.runtime.embedded import EmbeddedRunner
from pipeline.demo.casework import work_on_cases
from pipeline.domain.access.principal import SYSTEM
from pipeline.domain.events.contract import FeedbackRequested
from pipeline.domain.events.decoding import decode
from pipeline.store.asks import phone_messages
from pipeline.store.db.engine import reading
from pipeline.store.journal import journal, state
from pipeline.store.reads.answers import current_answer
from pipeline.store.store import Store


class InstallationView:
    """What the live demo reads from an installation of either mode, and the checkpoints it stores there."""

    def __init__(self, store: Store) -> None:
        self._engine = store.engine
        self._vault = store.vault

    def requests_after(self, seq: int) -> list[tuple[int, datetime, FeedbackRequested]]:
        """The questions emitted after journal position `seq`, oldest first: position, time, question."""
        with reading(self._engine) as connection:
            stored = journal.read_types(connection, ["feedback.requested"], seq)
        return [(entry.seq, entry.received_at, decode(entry.payload.encode()).data) for entry in stored]

    def get(self, name: str) -> str | None:
        """A stored value, None if there is none of that name."""
        with reading(self._engine) as connection:
            return state.get(connection, name)

    def put(self, name: str, value: str) -> None:
        """Store a value."""
        with self._engine.begin() as connection:
            state.put(connection, name, value)

    def answered(self, order_id: str, contact_id: str) -> bool:
        """Whether this contact has answered about this order."""
        with reading(self._engine) as connection:
            return current_answer(connection, SYSTEM, order_id, contact_id) is not None

    def text_about(self, order_id: str, number: str) -> str | None:
        """The newest message about an order on one of the demo's phones."""
        with reading(self._engine) as connection:
            return phone_messages.newest_about(connection, self._vault, order_id, number)


class LocalInstallation(InstallationView):
    """The runtime of `backfill.run`: an embedded installation whose runner this process calls itself."""

    def __init__(self, runtime: EmbeddedRunner) -> None:
        super().__init__(runtime.store)
        self._runtime = runtime

    def ingest(self, items: Iterable[tuple[datetime, Incoming]]) -> None:
        """Store and process events received at these times."""
        for _ in self._runtime.ingest_all(incoming._replace(received_at=received) for received, incoming in items):
            pass

    def work_on_cases(self, now: datetime) -> None:
        """Let the service desk settle the cases whose time has come."""
        work_on_cases(self._runtime.store, self._runtime.setup, now)
