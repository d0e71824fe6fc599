"""An installation as the demo's drivers know it: they take events in, follow the journal and keep their place."""

from collections.abc import Iterable
from datetime import datetime

from sqlalchemy import Engine

from pipeline.consumers.embedded import Embedded
from pipeline.consumers.intake import Incoming
from pipeline.domain.events.contract import FeedbackRequested
from pipeline.domain.events.decoding import decode
from pipeline.store.asks import conversations
from pipeline.store.db.engine import reading
from pipeline.store.journal import journal
from pipeline.store.reads import demo_phone


class Observed:
    """What the live demo looks up in any installation, a cluster too, and the place it keeps there."""

    def __init__(self, engine: Engine) -> None:
        self._engine = engine

    def requests_after(self, seq: int) -> list[tuple[int, datetime, FeedbackRequested]]:
        """The questions asked since a place in the journal."""
        with reading(self._engine) as connection:
            stored = journal.read_type(connection, "feedback.requested", seq)
        return [(entry.seq, entry.received_at, decode(entry.payload.encode()).data) for entry in stored]

    def get(self, name: str) -> str | None:
        """A remembered fact."""
        with reading(self._engine) as connection:
            return journal.get(connection, name)

    def put(self, name: str, value: str) -> None:
        """Remember a fact."""
        with self._engine.begin() as connection:
            journal.put(connection, name, value)

    def answered(self, order_id: str, contact_id: str) -> bool:
        """Whether this person has said anything of this order."""
        with reading(self._engine) as connection:
            return conversations.standing(connection, order_id, contact_id) is not None

    def text_about(self, order_id: str, number: str) -> str | None:
        """The newest message about an order on one of the demo's phones."""
        with reading(self._engine) as connection:
            return demo_phone.newest_about(connection, order_id, number)


class Installed(Observed):
    """The runtime of `drive.run`: one that also takes events in by itself."""

    def __init__(self, engine: Engine, runtime: Embedded) -> None:
        super().__init__(engine)
        self._runtime = runtime

    def take(self, items: Iterable[tuple[datetime, Incoming]]) -> None:
        """Store and process events received at these moments."""
        for _ in self._runtime.take(incoming._replace(received_at=moment) for moment, incoming in items):
            pass
