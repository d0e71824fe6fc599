"""Operations of a user on an installation: API keys, replays of histories, dead letters."""

from collections.abc import Callable, Iterable
from datetime import datetime

from sqlalchemy import Engine

from pipeline.app.administration.users import record
from pipeline.app.installation import (
    Installation,
    SharedInstallation,
    ages_of,
    now,
    open_database,
    open_installation,
    open_shared,
    open_vault,
)
from pipeline.consumers.intake import Incoming, IngestResult
from pipeline.consumers.runtime import dead_letter_retry, retention
from pipeline.consumers.runtime.retention import Deleted
from pipeline.consumers.runtime.write_queue import BatchSink
from pipeline.domain.access.acts import ActKind
from pipeline.domain.events.spelling import normal
from pipeline.errors import UserError
from pipeline.settings import ConfigurationError, Settings
from pipeline.store.asks.links import MAX_ORDER_ID, qr_token
from pipeline.store.db.engine import connect, is_in_use, reading
from pipeline.store.journal import receipt_mark
from pipeline.store.people import api_keys
from pipeline.store.people.existing_words import seal_existing
from pipeline.store.people.vault import UnsealError, Vault
from pipeline.store.reads.checks import any_sealed_phone
from pipeline.store.schema.upgrade import WordsNotSealed, holds_words, migrate, revisions


def migrate_database(settings: Settings, report: Callable[[int, int], None]) -> None:
    """Migrate the schema, and seal the words that an earlier version stored readable.

    `report` gets the number of rows sealed and of all rows. Raises UserError if another process uses a database whose
    words are to be sealed, ConfigurationError if the master key is not that of the database.
    """
    engine = connect(settings.url)
    try:
        if revisions(engine)[0] is not None and holds_words(engine) and is_in_use(engine):
            raise UserError(f"another process is connected to the database: {WordsNotSealed.advice}")
        migrate(settings.url, sealing=True)
        vault = open_vault(settings)
        _check_master_key(engine, vault)
        seal_existing(engine, vault, report)
    finally:
        engine.dispose()


def _check_master_key(engine: Engine, vault: Vault) -> None:
    with reading(engine) as connection:
        sealed = any_sealed_phone(connection)
    try:
        if sealed is not None:
            vault.open(sealed.wrapped_key, sealed.phone)
    except UnsealError:
        raise ConfigurationError(
            "the master key is not that of this database: set UNVARNISHED_MASTER_KEY to the one of its first start"
        ) from None


def create_key(engine: Engine, name: str, history: bool) -> str:
    """Create an API key and return it: only its hash is stored. `history`: it may send events of the past."""
    with engine.begin() as connection:
        return api_keys.create(connection, name, history, now())


def revoke_key(engine: Engine, name: str) -> None:
    """Revoke an API key. Raises ConfigurationError if no key of that name works."""
    with engine.begin() as connection:
        api_keys.revoke(connection, name, now())


def qr_link(settings: Settings, order_id: str) -> str:
    """The link in the code on an order's delivery note. Raises ConfigurationError if the order's id cannot be one."""
    wanted = normal(order_id)
    if not 1 <= len(wanted) <= MAX_ORDER_ID:
        raise ConfigurationError(f"an order's id has 1 to {MAX_ORDER_ID} characters")
    engine = open_database(settings)
    try:
        with engine.begin() as connection:
            token = qr_token(connection, open_vault(settings), wanted, now())
    finally:
        engine.dispose()
    return f"{settings.public_url.rstrip('/')}/f/{token}"


def replay_history(
    installation: Installation, history: Iterable[Incoming], progress: Callable[[int], None]
) -> IngestResult:
    """Ingest a history through the same processors as live events. `progress` gets the number of events done."""
    total = IngestResult(0, 0, 0)
    for result in installation.runner.ingest_all(history):
        total = IngestResult.total((total, result))
        progress(total.events)
    return total


def retry_dead_letters(settings: Settings) -> IngestResult:
    """Reprocess all dead letters as events received now. Those that fail again stay. Raises DatabaseMismatch."""
    installation, sink = _open_with_sink(settings, "dead-letters retry")
    try:
        return dead_letter_retry.retry(installation.store, sink, installation.clock)
    finally:
        installation.store.engine.dispose()


def delete_expired(settings: Settings) -> Deleted:
    """Delete the rows that are older than the settings allow. Raises DatabaseMismatch."""
    installation, _ = _open_with_sink(settings, "cleanup")
    try:
        levels = installation.setup.levels
        return retention.delete_expired(installation.store, levels, ages_of(settings), installation.clock())
    finally:
        installation.store.engine.dispose()


def accept_clock(settings: Settings) -> datetime:
    """Accept what this machine's clock shows as right, and return it. Running processes notice within seconds."""
    engine = open_database(settings, settings.uses_kafka)
    accepted = now()
    try:
        with engine.begin() as connection:
            receipt_mark.accept(connection, accepted)
    finally:
        engine.dispose()
    return accepted


def _open_with_sink(settings: Settings, command: str) -> tuple[Installation | SharedInstallation, BatchSink]:
    installation, sink = _opened(settings)
    with installation.store.engine.begin() as connection:
        record(connection, ActKind.COMMAND_RUN, command)
    return installation, sink


def _opened(settings: Settings) -> tuple[Installation | SharedInstallation, BatchSink]:
    if settings.uses_kafka:
        from pipeline.consumers.cluster.outbox_writer import OutboxWriter

        shared = open_shared(settings)
        return shared, OutboxWriter(shared.store)
    installation = open_installation(settings, sending=True)
    return installation, installation.runner
