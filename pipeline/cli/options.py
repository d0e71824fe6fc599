"""Options that several commands share, and how their values are parsed."""

import json
from datetime import date
from enum import StrEnum
from typing import Annotated

import typer

from pipeline.app.errors import fail


class Format(StrEnum):
    """The format of a command's output."""

    TABLE = "table"
    JSON = "json"


Output = Annotated[Format, typer.Option("--format", help="Output format: table for people, json for programs.")]


def parse_day(text: str | None, option: str) -> date | None:
    """The value of an option that is a date. Exits with an error message if it is none."""
    if text is None:
        return None
    try:
        return date.fromisoformat(text)
    except ValueError:
        fail(f"{option}: {text!r} is not a date as in 2026-11-20")


def print_json(value: object) -> None:
    """Print a value as JSON. Types that JSON does not have are printed as text."""
    print(json.dumps(value, indent=2, ensure_ascii=False, default=str))
