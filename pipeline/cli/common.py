"""What the commands share: how they open the database and print."""

import json
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from datetime import date
from enum import StrEnum
from typing import Annotated

import typer
from rich.console import Console
from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn, TimeElapsedColumn, TimeRemainingColumn
from sqlalchemy import Connection, Engine

from pipeline.app.errors import fail
from pipeline.app.installation import open_database
from pipeline.settings import Settings
from pipeline.store.db.engine import reading


class Format(StrEnum):
    """How figures are printed."""

    TABLE = "table"
    JSON = "json"


Output = Annotated[Format, typer.Option("--format", help="table for people, json for programs")]


@contextmanager
def opened() -> Iterator[Engine]:
    """The database, its schema up to date."""
    engine = open_database(Settings())
    try:
        yield engine
    finally:
        engine.dispose()


@contextmanager
def database() -> Iterator[Connection]:
    """A consistent view of it."""
    with opened() as engine, reading(engine) as connection:
        yield connection


@contextmanager
def progress(console: Console, what: str) -> Iterator[Callable[[int, int], None]]:
    """A bar on a terminal: a function that is told how many are done, and of how many."""
    columns = (TextColumn(what), BarColumn(), MofNCompleteColumn(), TimeElapsedColumn(), TimeRemainingColumn())
    with Progress(*columns, console=console, transient=not console.is_terminal) as progress:
        task = progress.add_task(what, total=None)
        yield lambda done, total: progress.update(task, completed=done, total=total)


def day(text: str | None, option: str) -> date | None:
    """The value of an option that names a day."""
    if text is None:
        return None
    try:
        return date.fromisoformat(text)
    except ValueError:
        fail(f"{option}: {text!r} is not a date as in 2026-11-20")


def print_json(value: object) -> None:
    """For programs."""
    print(json.dumps(value, indent=2, ensure_ascii=False, default=str))
