"""What the commands share: how they open the database, print and complain."""

import json
import sys
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from datetime import date
from enum import StrEnum
from typing import Annotated, NoReturn

import typer
from pydantic import ValidationError
from rich.console import Console
from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn, TimeElapsedColumn, TimeRemainingColumn
from sqlalchemy import Connection, Engine
from sqlalchemy.exc import SQLAlchemyError

from pipeline.app import Ended, WrongSetup, open_database
from pipeline.consumers.kafka_io import BrokerTrouble
from pipeline.settings import Settings, Unusable
from pipeline.sources.table import UnreadableSource
from pipeline.store.engine import reading


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


@contextmanager
def complaints() -> Iterator[None]:
    """What a user can mend is one sentence on stderr, without a traceback."""
    try:
        yield
    except ValidationError as error:
        for problem in error.errors():
            name = "_".join(str(part) for part in problem["loc"]).upper()
            where = f"UNVARNISHED_{name}: " if name else ""  # what concerns several names them itself
            print(f"unvarnished: {where}{problem['msg']}", file=sys.stderr)
        raise typer.Exit(2) from None
    except (WrongSetup, UnreadableSource, Unusable, BrokerTrouble) as error:
        fail(str(error))
    except Ended as error:
        print(f"unvarnished: {error}", file=sys.stderr)
        raise typer.Exit(1) from None
    except SQLAlchemyError as error:
        cause = getattr(error, "orig", None) or error
        fail(f"the database says: {str(cause).splitlines()[0]}")


def fail(message: str) -> NoReturn:
    """Say what is wrong in a sentence, and end with exit code 2."""
    print(f"unvarnished: {message}", file=sys.stderr)
    raise typer.Exit(2)


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
