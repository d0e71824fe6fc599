"""What every route may use; `app` fills it in, tests fill in their own."""

from collections.abc import Awaitable, Callable, Sequence
from dataclasses import dataclass
from datetime import datetime

from sqlalchemy import Engine

from pipeline.consumers.intake import Incoming, Taken
from pipeline.settings import Settings
from pipeline.store.people.vault import Vault
from pipeline.store.unit_of_work import Setup


@dataclass(frozen=True)
class Services:
    """The running installation as routes see it.

    `submit` stores and processes events and returns when they are durable; `now` is the time, UTC.
    """

    engine: Engine
    vault: Vault
    setup: Setup
    settings: Settings
    submit: Callable[[Sequence[Incoming]], Awaitable[Taken]]
    now: Callable[[], datetime]
