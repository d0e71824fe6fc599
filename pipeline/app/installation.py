"""Opens an installation: its database, the configuration frozen in it, and the store that its processes work on.

The only place that knows the two modes of a database: embedded (one process) and shared (the processes of a cluster).
"""

import logging
import secrets
import time
from dataclasses import dataclass, field, replace
from datetime import UTC, datetime, timedelta

import msgspec
from sqlalchemy import Connection, Engine
from sqlalchemy.exc import SQLAlchemyError

from pipeline.app.errors import database_cause
from pipeline.consumers.runtime.embedded import EmbeddedRunner
from pipeline.consumers.runtime.receipt_clock import ReceiptClock, open_clock
from pipeline.consumers.runtime.retention import Ages
from pipeline.consumers.runtime.retries import is_transient
from pipeline.domain.asking.policy import Policy
from pipeline.domain.detection.levels import LevelHistory
from pipeline.domain.detection.segments import format_levels, parse_levels
from pipeline.domain.setup import Setup
from pipeline.errors import UserError
from pipeline.notifiers import countries, registry
from pipeline.settings import DEFAULT_SEGMENT_LEVELS, ConfigurationError, Settings
from pipeline.store.db.engine import connect, reading
from pipeline.store.evidence import level_changes
from pipeline.store.journal import state
from pipeline.store.journal.embedded_journal import EmbeddedJournal
from pipeline.store.journal.journal import Journal
from pipeline.store.journal.shared_journal import SharedJournal
from pipeline.store.people.phone_numbers import country_code
from pipeline.store.people.vault import Vault
from pipeline.store.schema.upgrade import migrate
from pipeline.store.store import Store

_RETRY_SECONDS = 1.0  # between two attempts to open an unavailable database
_STATE_KEY = "setup"
_log = logging.getLogger(__name__)


class FrozenConfig(msgspec.Struct, frozen=True):
    """The configuration that a database keeps from its first start on, because the same events with another one would
    result in other evidence. `levels` are those of the first start: changes are in a table. The field names are stored.
    """

    levels: str
    alerts_a_year: float
    simulated: bool
    cluster: bool = False  # a shared journal assigns its positions in another way
    rules_since: int = 0  # first day judged by the present rules; a migration sets it where earlier ones had judged


_SETTING_OF = {"alerts_a_year": "false_alerts_per_year"}


class DatabaseMismatch(UserError):
    """The database was first started with another configuration than the present one."""


@dataclass(frozen=True)
class Installation:
    """An open database of embedded mode, with the runner that processes its events."""

    store: Store
    setup: Setup
    runner: EmbeddedRunner
    clock: ReceiptClock = field(default_factory=ReceiptClock)


@dataclass(frozen=True)
class SharedInstallation:
    """An open database that the processes of a cluster share."""

    store: Store
    setup: Setup
    clock: ReceiptClock


def now() -> datetime:
    """The machine's time, in UTC."""
    return datetime.now(UTC)


def sign_in_token(settings: Settings) -> str:
    """The token for the internal listener: the configured one, or a generated one."""
    given = settings.sign_in_token or settings.generated_sign_in_token
    return given.get_secret_value() if given else secrets.token_urlsafe(32)


def open_database(settings: Settings, cluster: bool = False) -> Engine:
    """Connect, and migrate the schema to this version if needed. Raises SchemaTooNew."""
    engine = connect(settings.url, cluster)
    migrate(settings.url)
    return engine


def open_installation(
    settings: Settings, levels: str | None = None, simulated: bool = False, sending: bool = False
) -> Installation:
    """Open the database in embedded mode.

    `levels`: segment levels to use if the settings name none. `simulated`: it contains the demo's company. `sending`:
    a dispatcher sends the questions. Raises DatabaseMismatch if the database was first started otherwise.
    """
    engine = open_database(settings)
    frozen = _freeze(engine, settings, levels, simulated, cluster=False)
    clock = ReceiptClock()
    if not simulated:  # a demo may be continued whenever one likes
        open_clock(engine, clock)
    store = Store(
        engine,
        open_vault(settings),
        EmbeddedJournal(),
        settings.event_types,
        max_event_ahead=settings.max_event_ahead,
        clock=clock,
    )
    setup = _setup(engine, frozen, settings, sending)
    return Installation(store, setup, EmbeddedRunner(store, setup, settings.batch_size), clock)


def open_as_started(settings: Settings) -> Installation | SharedInstallation:
    """Open the database in the mode of its first start, whatever it contains; a new one as the settings say."""
    engine = open_database(settings)
    with reading(engine) as connection:
        frozen = frozen_config(connection)
    engine.dispose()
    if settings.uses_kafka if frozen is None else frozen.cluster:
        return open_shared(settings)
    return open_installation(settings, simulated=frozen is not None and frozen.simulated)


def open_shared(settings: Settings) -> SharedInstallation:
    """Open the database for one process of a cluster.

    Raises DatabaseMismatch as `open_installation` does, ConfigurationError if the database cannot be shared.
    """
    engine = open_database(settings, cluster=True)
    frozen = _freeze(engine, settings, None, simulated=False, cluster=True)
    clock = open_clock(engine, ReceiptClock())
    store = Store(
        engine,
        open_vault(settings),
        SharedJournal(),
        settings.event_types,
        max_event_ahead=settings.max_event_ahead,
        clock=clock,
    )
    return SharedInstallation(store, _setup(engine, frozen, settings, sending=True), clock)


def open_vault(settings: Settings) -> Vault:
    """The vault with the configured master key. Raises ConfigurationError as `default_country` does."""
    return Vault(settings.master(), default_country(settings))


def journal_of(settings: Settings) -> Journal:
    """The journal of an installation with these settings."""
    return SharedJournal() if settings.uses_kafka else EmbeddedJournal()


def default_country(settings: Settings) -> str | None:
    """The country of phone numbers without a country code. Raises ConfigurationError if it is none."""
    country = country_code(settings.default_country)
    if country is None and settings.default_country is not None:
        raise ConfigurationError(
            f"UNVARNISHED_DEFAULT_COUNTRY: {settings.default_country!r} is not the code of a country, as in FR "
            "(ISO 3166)"
        )
    return country


def wait_for_shared(settings: Settings) -> SharedInstallation:
    """Open the database as `open_shared` does, as soon as it is available: processes start in any order."""
    while True:
        try:
            return open_shared(settings)
        except SQLAlchemyError as error:
            if not is_transient(error):
                raise
            _log.error("database unavailable: %s", database_cause(error))
            time.sleep(_RETRY_SECONDS)


def frozen_config(connection: Connection) -> FrozenConfig | None:
    """The configuration of a database's first start; None before it."""
    text = state.get(connection, _STATE_KEY)
    return None if text is None else msgspec.json.decode(text, type=FrozenConfig)


def _setup(engine: Engine, frozen: FrozenConfig, settings: Settings, sending: bool) -> Setup:
    with reading(engine) as connection:
        changes = level_changes.read(connection)
    setup = Setup(
        parse_levels(frozen.levels),
        frozen.alerts_a_year,
        policy_of(settings),
        sending,
        changes,
        rules_since=frozen.rules_since,
        cases=settings.case_policy,
    )
    if settings.segment_levels is not None and {*parse_levels(settings.segment_levels)} != {*setup.history.figured}:
        _log.warning(
            "UNVARNISHED_SEGMENT_LEVELS=%s has no effect: it is read at the first start of a database only, and this "
            "one watches %s. To change that: unvarnished levels add, unvarnished levels remove",
            settings.segment_levels,
            format_levels(setup.levels),
        )
    return setup


def history_of(connection: Connection) -> tuple[LevelHistory, float] | None:
    """The levels of a database over time and its budget of false alerts a year; None before the first start."""
    frozen = frozen_config(connection)
    if frozen is None:
        return None
    return LevelHistory(parse_levels(frozen.levels), level_changes.read(connection)), frozen.alerts_a_year


def policy_of(settings: Settings) -> Policy:
    """The policy with the channels, closed days and country rules of this installation.

    Raises ConfigurationError if a channel does not exist.
    """
    channels = tuple(map(countries.with_countries, registry.channels_of(settings)))
    closed_days = countries.calendar() if settings.skip_holidays else None
    return replace(settings.policy, channels=channels, calendar=closed_days)


def ages_of(settings: Settings) -> Ages:
    """How long rows are kept."""
    persons = settings.person_retention_days
    return Ages(
        dead_letters=timedelta(days=settings.dead_letter_retention_days),
        handled=timedelta(days=settings.handled_retention_days),
        texts=timedelta(days=settings.unmatched_text_retention_days),
        notices=timedelta(days=settings.receiver_retention_days),
        persons=None if persons is None else timedelta(days=persons),
    )


def _freeze(engine: Engine, settings: Settings, suggested: str | None, simulated: bool, cluster: bool) -> FrozenConfig:
    """Store the configuration if the database has none yet, and compare. Raises DatabaseMismatch."""
    levels = settings.segment_levels or suggested or DEFAULT_SEGMENT_LEVELS
    wanted = FrozenConfig(levels, settings.false_alerts_per_year, simulated, cluster)
    with engine.begin() as connection:
        text = state.settle(connection, _STATE_KEY, msgspec.json.encode(wanted).decode())
    frozen = msgspec.json.decode(text, type=FrozenConfig)
    if settings.segment_levels is None and suggested is None:  # the default of an earlier version is no mismatch
        wanted = msgspec.structs.replace(wanted, levels=frozen.levels)
    try:
        _compare(frozen, wanted)
    except DatabaseMismatch:
        engine.dispose()
        raise
    return frozen


def _compare(frozen: FrozenConfig, wanted: FrozenConfig) -> None:
    if frozen.simulated != wanted.simulated:
        content = "a simulated company" if frozen.simulated else "real events"
        raise DatabaseMismatch(
            f"this database contains {content}: set another UNVARNISHED_DATA_DIR or UNVARNISHED_DATABASE_URL"
        )
    if frozen.cluster != wanted.cluster:
        mode = "cluster mode" if frozen.cluster else "embedded mode"
        raise DatabaseMismatch(
            f"this database was first started in {mode}, and the mode cannot change: use another database"
        )
    for name, setting in _SETTING_OF.items():
        first, present = getattr(frozen, name), getattr(wanted, name)
        if first != present:
            raise DatabaseMismatch(
                f"this database was first started with {setting} {first!r}, not {present!r}: "
                f"set UNVARNISHED_{setting.upper()} to that value, or use another database"
            )
