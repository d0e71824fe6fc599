"""Opens an installation: its database, the configuration frozen in it, and the store that its processes work on.

The only place that knows the two modes of a database: embedded (one process) and shared (the processes of a cluster).
"""

import logging
import secrets
import time
from dataclasses import dataclass, replace
from datetime import UTC, datetime, timedelta

import msgspec
from sqlalchemy import Connection, Engine
from sqlalchemy.exc import SQLAlchemyError

from pipeline.app.errors import database_cause
from pipeline.consumers.runtime.embedded import EmbeddedRunner
from pipeline.consumers.runtime.retention import Ages
from pipeline.consumers.runtime.retries import is_transient
from pipeline.domain.asking.policy import Policy
from pipeline.domain.detection.segments import parse_levels
from pipeline.domain.setup import Setup
from pipeline.errors import UserError
from pipeline.notifiers import registry
from pipeline.settings import DEFAULT_SEGMENT_LEVELS, ConfigurationError, Settings
from pipeline.store.db.engine import connect
from pipeline.store.journal import state
from pipeline.store.journal.embedded_journal import EmbeddedJournal
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
    result in other evidence. The field names are stored."""

    levels: str
    alerts_a_year: float
    simulated: bool
    cluster: bool = False  # a shared journal assigns its positions in another way
    rules_since: int = 0  # first day judged by the present rules; a migration sets it where earlier ones had judged


_SETTING_OF = {"levels": "segment_levels", "alerts_a_year": "false_alerts_per_year"}


class DatabaseMismatch(UserError):
    """The database was first started with another configuration than the present one."""


@dataclass(frozen=True)
class Installation:
    """An open database of embedded mode, with the runner that processes its events."""

    store: Store
    setup: Setup
    runner: EmbeddedRunner


@dataclass(frozen=True)
class SharedInstallation:
    """An open database that the processes of a cluster share."""

    store: Store
    setup: Setup


def now() -> datetime:
    """The machine's time, in UTC."""
    return datetime.now(UTC)


def sign_in_token(settings: Settings) -> str:
    """The token for the internal listener: the configured one, or a new one."""
    return settings.sign_in_token.get_secret_value() if settings.sign_in_token else secrets.token_urlsafe(32)


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
    store = Store(
        engine, open_vault(settings), EmbeddedJournal(), settings.event_types, max_event_ahead=settings.max_event_ahead
    )
    setup = _setup(frozen, settings, sending)
    return Installation(store, setup, EmbeddedRunner(store, setup, settings.batch_size))


def open_shared(settings: Settings) -> SharedInstallation:
    """Open the database for one process of a cluster.

    Raises DatabaseMismatch as `open_installation` does, ConfigurationError if the database cannot be shared.
    """
    engine = open_database(settings, cluster=True)
    frozen = _freeze(engine, settings, None, simulated=False, cluster=True)
    store = Store(
        engine, open_vault(settings), SharedJournal(), settings.event_types, max_event_ahead=settings.max_event_ahead
    )
    return SharedInstallation(store, _setup(frozen, settings, sending=True))


def open_vault(settings: Settings) -> Vault:
    """The vault with the configured master key. Raises ConfigurationError as `default_country` does."""
    return Vault(settings.master(), default_country(settings))


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


def _setup(frozen: FrozenConfig, settings: Settings, sending: bool) -> Setup:
    return Setup(
        parse_levels(frozen.levels), frozen.alerts_a_year, policy_of(settings), sending, rules_since=frozen.rules_since
    )


def policy_of(settings: Settings) -> Policy:
    """The policy with the channels of this installation. Raises ConfigurationError if a channel does not exist."""
    return replace(settings.policy, channels=registry.channels_of(settings))


def ages_of(settings: Settings) -> Ages:
    """How long rows are kept."""
    return Ages(
        timedelta(days=settings.dead_letter_retention_days),
        timedelta(days=settings.handled_retention_days),
        timedelta(days=settings.receiver_retention_days),
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
    for field, setting in _SETTING_OF.items():
        first, present = getattr(frozen, field), getattr(wanted, field)
        if first != present:
            raise DatabaseMismatch(
                f"this database was first started with {setting} {first!r}, not {present!r}: "
                f"set UNVARNISHED_{setting.upper()} to that value, or use another database"
            )
