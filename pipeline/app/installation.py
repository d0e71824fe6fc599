"""The one place where things are wired together: settings in, an installation out. `live.py` puts it on the network."""

import logging
import time
from collections.abc import Callable, Iterable
from dataclasses import dataclass
from datetime import UTC, date, datetime, timedelta
from enum import StrEnum
from typing import NamedTuple

import msgspec
from sqlalchemy import Connection, Engine
from sqlalchemy.exc import SQLAlchemyError

from pipeline.consumers.cluster.outbox_writer import Appender
from pipeline.consumers.embedded import Embedded
from pipeline.consumers.intake import Incoming, Taken
from pipeline.consumers.runtime import dead_letter_retry
from pipeline.consumers.runtime.embedded import passes
from pipeline.consumers.runtime.write_queue import Absorber
from pipeline.demo import drive
from pipeline.demo.company import Company
from pipeline.demo.installed import Installed
from pipeline.domain.detection.segments import parse_levels
from pipeline.settings import DEFAULT_LEVELS, Settings
from pipeline.store.db.engine import connect, migrate
from pipeline.store.journal import journal
from pipeline.store.people import api_keys
from pipeline.store.people.vault import Vault
from pipeline.store.unit_of_work import Setup

DEMO_DAYS = 90
_AGAIN_SECONDS = 1.0  # between two looks for a database that is away
_FROZEN, _BEGUN = "setup", "demo.begun"
_log = logging.getLogger(__name__)


class Frozen(msgspec.Struct, frozen=True):
    """What a database was started with: other thresholds would make another history of the same pairs."""

    levels: str
    alerts_a_year: float
    simulated: bool
    cluster: bool = False  # several processes count the journal's places otherwise than one


class WrongSetup(Exception):
    """The database was started with something else than what is asked of it now."""


@dataclass(frozen=True)
class Installation:
    """A database that is up to date, and the runtime on it."""

    engine: Engine
    vault: Vault
    setup: Setup
    runtime: Embedded


@dataclass(frozen=True)
class Shared:
    """A database that is up to date and that several processes work on."""

    engine: Engine
    vault: Vault
    setup: Setup


def open_database(settings: Settings, cluster: bool = False) -> Engine:
    """The database of these settings, its schema up to date."""
    engine = connect(settings.url, cluster)
    migrate(settings.url)
    return engine


def open_installation(
    settings: Settings, levels: str | None = None, simulated: bool = False, sending: bool = False
) -> Installation:
    """Everything needed to process events. `levels` is what a source suggests where the settings say nothing;
    `sending`: questions are really sent, by a dispatcher.

    Raises WrongSetup if the database was started with other levels, another budget, for the other world or a cluster.
    """
    engine = open_database(settings)
    frozen = _freeze(engine, settings, levels, simulated, cluster=False)
    setup = Setup(parse_levels(frozen.levels), frozen.alerts_a_year, settings.policy, sending)
    vault = Vault(settings.master())
    return Installation(engine, vault, setup, Embedded(engine, vault, setup, settings.batch))


def open_shared(settings: Settings) -> Shared:
    """What every process of a cluster needs of the database. Questions are sent there, by dispatchers.

    Raises WrongSetup as `open_installation` does, Unusable if the database cannot be shared.
    """
    engine = open_database(settings, cluster=True)
    frozen = _freeze(engine, settings, None, simulated=False, cluster=True)
    setup = Setup(parse_levels(frozen.levels), frozen.alerts_a_year, settings.policy, sending=True)
    return Shared(engine, Vault(settings.master()), setup)


def open_shared_when_there(settings: Settings) -> Shared:
    """The same, as soon as the database is there: roles start in any order, and one that starts anew finds it away."""
    while True:
        try:
            return open_shared(settings)
        except SQLAlchemyError as error:
            if not passes(error):
                raise
            _log.error("the database says: %s", str(getattr(error, "orig", None) or error).splitlines()[0])
            time.sleep(_AGAIN_SECONDS)


def frozen_in(connection: Connection) -> Frozen | None:
    """What a database was started with, if it was."""
    text = journal.get(connection, _FROZEN)
    return None if text is None else msgspec.json.decode(text, type=Frozen)


def _freeze(engine: Engine, settings: Settings, suggested: str | None, simulated: bool, cluster: bool) -> Frozen:
    levels = settings.levels or suggested or DEFAULT_LEVELS
    wanted = Frozen(levels, settings.alerts_a_year, simulated, cluster)
    with engine.begin() as connection:
        text = journal.settle(connection, _FROZEN, msgspec.json.encode(wanted).decode())
    frozen = msgspec.json.decode(text, type=Frozen)
    try:
        _compare(frozen, wanted)
    except WrongSetup:
        engine.dispose()
        raise
    return frozen


def _compare(frozen: Frozen, wanted: Frozen) -> None:
    if frozen.simulated != wanted.simulated:
        what = "a simulated company" if frozen.simulated else "real events"
        raise WrongSetup(f"this database holds {what}; use another UNVARNISHED_DATA_DIR or UNVARNISHED_DATABASE_URL")
    if frozen.cluster != wanted.cluster:
        what = "of a cluster" if frozen.cluster else "of one process"
        raise WrongSetup(f"this database is {what}; they count its journal differently. Use another one")
    for name in ("levels", "alerts_a_year"):
        if getattr(frozen, name) != getattr(wanted, name):
            raise WrongSetup(
                f"this database was started with {name} {getattr(frozen, name)!r}, not {getattr(wanted, name)!r}: "
                f"set UNVARNISHED_{name.upper()} to that, or use another database"
            )


def retry_dead_letters(settings: Settings) -> Taken:
    """Take the dead letters in once more; those that fail again stay. Raises WrongSetup."""
    opened: Installation | Shared
    absorber: Absorber
    if settings.clustered:
        opened = open_shared(settings)
        absorber = Appender(opened.engine, opened.vault)
    else:
        opened = open_installation(settings, sending=True)
        absorber = opened.runtime.runner
    try:
        return dead_letter_retry.retry(opened.engine, opened.vault, absorber, now)
    finally:
        opened.engine.dispose()


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


class Role(StrEnum):
    """What a process of a cluster does."""

    WEB = "web"
    WORKER = "worker"
    DISPATCHER = "dispatcher"
    RELAY = "relay"


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


class Begun(msgspec.Struct, frozen=True):
    """Which simulated company a database holds, and how many days of it were wanted at first."""

    seed: int
    start: date
    days: int


def begin_demo(installation: Installation, seed: int, start: date | None, days: int | None) -> Begun:
    """What this database was begun with, from its first run on: by default 90 days of which the last was yesterday.

    Raises WrongSetup where another seed or another first day would make it another company.
    """
    with installation.engine.begin() as connection:
        text = journal.get(connection, _BEGUN, lock=True)
        if text is not None:
            begun = msgspec.json.decode(text, type=Begun)
        else:
            wanted = days or DEMO_DAYS
            begun = Begun(seed, start or now().date() - timedelta(days=wanted), wanted)
            journal.put(connection, _BEGUN, msgspec.json.encode(begun).decode())
    if (begun.seed, begun.start) != (seed, start or begun.start):
        raise WrongSetup(
            f"this database holds the company of --seed {begun.seed} --start {begun.start}; "
            "for another one use another UNVARNISHED_DATA_DIR"
        )
    return begun


def play_demo(
    installation: Installation, company: Company, days: int, progress: Callable[[int, int], None] | None = None
) -> None:
    """Simulate the demo's company, from where an earlier run of the same one ended."""
    drive.run(Installed(installation.engine, installation.runtime), company, days, progress)


def days_before_live(installation: Installation, company: Company, days: int) -> int:
    """How many days the company's history has when it goes on live: `days`, and those since up to yesterday.

    Raises Unusable if that is further.
    """
    place = drive.read_place(Installed(installation.engine, installation.runtime).get(drive.PLACE))
    return drive.days_before_live(company.start, days, place, now().date())
