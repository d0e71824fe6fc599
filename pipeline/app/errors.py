"""Errors of a command as one sentence on stderr and an exit code, for every command line of the product."""

import sys
from collections.abc import Iterator
from contextlib import contextmanager
from typing import NoReturn

from pipeline.errors import UserError

CANNOT_RUN = 2  # exit code: the same command would fail again
_BUG = 1  # exit code
_CONSEQUENCE = "default_factory_not_called"  # pydantic: a default that depends on another setting, which is wrong


class UnexpectedExit(Exception):
    """A bug, or a process that cannot start, ended what should have continued. The log has the details."""


@contextmanager
def user_errors() -> Iterator[None]:
    """Report errors that the user can correct in a sentence, without a traceback.

    Raises SystemExit: 2 if the same command would fail again, 1 after an UnexpectedExit.
    """
    try:
        yield
    except UserError as error:
        fail(str(error))
    except UnexpectedExit as error:
        print(f"unvarnished: {error}", file=sys.stderr)
        raise SystemExit(_BUG) from None
    except Exception as error:
        messages = _library_messages(error)
        if not messages:
            raise
        for message in messages:
            print(f"unvarnished: {message}", file=sys.stderr)
        raise SystemExit(CANNOT_RUN) from None


def fail(message: str) -> NoReturn:
    """Print the message to stderr and exit with code 2."""
    print(f"unvarnished: {message}", file=sys.stderr)
    raise SystemExit(CANNOT_RUN)


def _library_messages(error: Exception) -> list[str]:
    """An error of pydantic or SQLAlchemy in sentences; empty for a bug.

    A library that is not loaded has not raised the error. Loading it here would slow down `--help`, which typer ends
    with an exception.
    """
    if "pydantic" in sys.modules:
        from pydantic import ValidationError

        if isinstance(error, ValidationError):
            found = [problem for problem in error.errors() if problem["type"] != _CONSEQUENCE]
            return [_of_setting(problem["loc"], problem["msg"]) for problem in found]
    if "sqlalchemy" in sys.modules:
        from sqlalchemy.exc import SQLAlchemyError

        if isinstance(error, SQLAlchemyError):
            return [f"database error: {database_cause(error)}{_database_setting(error)}"]
    return []


def _of_setting(location: tuple[int | str, ...], message: str) -> str:
    name = "_".join(map(str, location)).upper()
    message = message.removeprefix("Value error, ")
    return f"UNVARNISHED_{name}: {message}" if name else message  # a message about several settings names them itself


def _database_setting(error: Exception) -> str:
    """Which setting names a database that does not answer. SQLite's file is named by the message or by the folder."""
    of_server = type(getattr(error, "orig", None)).__module__.startswith("psycopg")
    return " (the database of UNVARNISHED_DATABASE_URL)" if of_server else ""


def database_cause(error: Exception) -> str:
    """The first line of the driver's message, without SQLAlchemy's additions."""
    return str(getattr(error, "orig", None) or error).splitlines()[0]
