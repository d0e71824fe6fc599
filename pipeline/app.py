"""The one place where things are wired together: settings in, an installation out. `live.py` puts it on the network."""

from collections.abc import Callable, Iterable
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import NamedTuple

import msgspec
from sqlalchemy import Engine

from pipeline.consumers.embedded import Embedded
from pipeline.consumers.intake import Incoming
from pipeline.demo import drive
from pipeline.demo.company import Company
from pipeline.domain.events import FeedbackRequested, decode
from pipeline.domain.segments import parse_levels
from pipeline.settings import DEFAULT_LEVELS, Settings
from pipeline.store import api_keys, journal
from pipeline.store.engine import connect, migrate, reading
from pipeline.store.unit_of_work import Setup
from pipeline.store.vault import Vault

_FROZEN = "setup"


class Frozen(msgspec.Struct, frozen=True):
    """What a database was started with: other thresholds would make another history of the same pairs."""

    levels: str
    alerts_a_year: float
    simulated: bool


class WrongSetup(Exception):
    """The database was started with something else than what is asked of it now."""


@dataclass(frozen=True)
class Installation:
    """A database that is up to date, and the runtime on it."""

    engine: Engine
    vault: Vault
    setup: Setup
    runtime: Embedded


def open_database(settings: Settings) -> Engine:
    """The database of these settings, its schema up to date."""
    migrate(settings.url)
    return connect(settings.url)


def open_installation(
    settings: Settings, levels: str | None = None, simulated: bool = False, sending: bool = False
) -> Installation:
    """Everything needed to process events. `levels` is what a source suggests where the settings say nothing;
    `sending`: questions are really sent, by a dispatcher.

    Raises WrongSetup if the database was started with other levels, another budget or for the other world.
    """
    engine = open_database(settings)
    frozen = _freeze(engine, settings, levels, simulated)
    setup = Setup(parse_levels(frozen.levels), frozen.alerts_a_year, settings.policy, sending)
    vault = Vault(settings.master())
    return Installation(engine, vault, setup, Embedded(engine, vault, setup, settings.batch))


def _freeze(engine: Engine, settings: Settings, suggested: str | None, simulated: bool) -> Frozen:
    wanted = Frozen(settings.levels or suggested or DEFAULT_LEVELS, settings.alerts_a_year, simulated)
    with engine.begin() as connection:
        text = journal.get(connection, _FROZEN, lock=True)
        if text is None:
            journal.put(connection, _FROZEN, msgspec.json.encode(wanted).decode())
            return wanted
    frozen = msgspec.json.decode(text, type=Frozen)
    if frozen.simulated != simulated:
        what = "a simulated company" if frozen.simulated else "real events"
        raise WrongSetup(f"this database holds {what}; use another UNVARNISHED_DATA_DIR or UNVARNISHED_DATABASE_URL")
    for name in ("levels", "alerts_a_year"):
        if getattr(frozen, name) != getattr(wanted, name):
            raise WrongSetup(
                f"this database was started with {name} {getattr(frozen, name)!r}, not {getattr(wanted, name)!r}: "
                f"set UNVARNISHED_{name.upper()} to that, or use another database"
            )
    return frozen


class Totals(NamedTuple):
    """What became of everything that was taken in."""

    new: int
    duplicates: int
    dead: int


def replay_history(installation: Installation, history: Iterable[Incoming], progress: Callable[[int], None]) -> Totals:
    """Take a history through the processors; `progress` is told how many of its events are done."""
    done = Totals(0, 0, 0)
    for taken in installation.runtime.take(history):
        done = Totals(*(sum(pair) for pair in zip(done, taken, strict=True)))
        progress(sum(done))
    return done


class Ended(Exception):
    """A bug stopped what should have gone on."""


def now() -> datetime:
    """The machine's time, in UTC."""
    return datetime.now(UTC)


def create_key(engine: Engine, name: str, history: bool) -> str:
    """A new API key, for the only time in plain text."""
    with engine.begin() as connection:
        return api_keys.create(connection, name, history, now())


def revoke_key(engine: Engine, name: str) -> None:
    """End an API key."""
    with engine.begin() as connection:
        api_keys.revoke(connection, name, now())


def play_demo(
    installation: Installation, seed: int, days: int, progress: Callable[[int, int], None] | None = None
) -> None:
    """Simulate the demo's company, from where an earlier run of the same seed ended."""
    drive.run(_DemoRuntime(installation), Company(seed), days, progress)


class _DemoRuntime:
    """The runtime as the demo's driver knows it."""

    def __init__(self, installation: Installation) -> None:
        self._engine = installation.engine
        self._runtime = installation.runtime

    def take(self, items: Iterable[tuple[datetime, Incoming]]) -> None:
        """Store and process events received at these moments."""
        for _ in self._runtime.take(incoming._replace(received_at=moment) for moment, incoming in items):
            pass

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
