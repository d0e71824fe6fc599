"""Access to the installation for the duration of a command. Loads the database's libraries: import it in functions."""

from collections.abc import Callable, Iterator
from contextlib import contextmanager

from rich.console import Console
from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn, TimeElapsedColumn, TimeRemainingColumn
from sqlalchemy import Connection, Engine

from pipeline.app.administration.users import record
from pipeline.app.installation import journal_of, open_database, open_vault
from pipeline.cli.permissions import running_command
from pipeline.domain.access.acts import ActKind
from pipeline.settings import Settings
from pipeline.store.db.engine import reading
from pipeline.store.store import Store


@contextmanager
def open_engine() -> Iterator[Engine]:
    """The engine of the database in the settings, its schema migrated to this version. The command is recorded as an
    act: who runs it has every permission.
    """
    engine = open_database(Settings())
    try:
        record_command(engine)
        yield engine
    finally:
        engine.dispose()


@contextmanager
def open_store() -> Iterator[Store]:
    """The store of the installation in the settings, to read and change what belongs to persons."""
    settings = Settings()
    with open_engine() as engine:
        yield Store(engine, open_vault(settings), journal_of(settings))


def record_command(engine: Engine) -> None:
    """Record the running command as an act of the principal `local`, without its arguments: they may name people."""
    with engine.begin() as connection:
        record(connection, ActKind.COMMAND_RUN, running_command())


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
