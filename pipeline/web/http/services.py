"""What route handlers share. `app` builds it, tests build their own."""

from collections.abc import Awaitable, Callable, Sequence
from dataclasses import dataclass
from datetime import datetime

from sqlalchemy import Connection

from pipeline.consumers.intake import Incoming, IngestResult
from pipeline.domain.setup import Setup
from pipeline.settings import Settings
from pipeline.store.evidence import level_changes
from pipeline.store.store import Store


@dataclass(frozen=True)
class Services:
    """The running installation as routes see it.

    `submit` stores and processes events and returns when they are durable; `now` is the time, UTC.
    """

    store: Store
    setup: Setup
    settings: Settings
    submit: Callable[[Sequence[Incoming]], Awaitable[IngestResult]]
    now: Callable[[], datetime]

    def current_setup(self, connection: Connection) -> Setup:
        """The setup with the levels as they are now: they may change while the process runs."""
        return self.setup.with_changes(level_changes.read(connection))
