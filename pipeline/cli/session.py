"""Access to the installation for the duration of a command. Loads the database's libraries: import it in functions."""

from collections.abc import Callable, Iterator
from contextlib import contextmanager

from rich.console import Console
from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn, TimeElapsedColumn, TimeRemainingColumn
from sqlalchemy import Connection, Engine

from pipeline.app.installation import open_database, open_vault
from pipeline.settings import Settings
from pipeline.store.db.engine import reading
from pipeline.store.journal.embedded_journal import EmbeddedJournal
from pipeline.store.journal.shared_journal import SharedJournal
from pipeline.store.store import Store


@contextmanager
def open_engine() -> Iterator[Engine]:
    """The engine of the database in the settings, its schema migrated to this version."""
    engine = open_database(Settings())
    try:
        yield engine
    finally:
        engine.dispose()


@contextmanager
def open_store() -> Iterator[Store]:
    """The installation with its vault, for commands that read or write words."""
    settings = Settings()
    engine = open_database(settings)
    try:
        journal = SharedJournal() if settings.uses_kafka else EmbeddedJournal()
        yield Store(engine, open_vault(settings), journal)
    finally:
        engine.dispose()


@contextmanager
def read_database() -> Iterator[Connection]:
    """A connection with a consistent, read-only view of that database."""
    with open_engine() as engine, reading(engine) as connection:
        yield connection


@contextmanager
def progress_bar(console: Console, title: str) -> Iterator[Callable[[int, int], None]]:
    """A progress bar. Yields a function to call with the number of finished steps and the number of all steps."""
    columns = (TextColumn(title), BarColumn(), MofNCompleteColumn(), TimeElapsedColumn(), TimeRemainingColumn())
    with Progress(*columns, console=console, transient=not console.is_terminal) as progress:
        task = progress.add_task(title, total=None)
        yield lambda done, total: progress.update(task, completed=done, total=total)
