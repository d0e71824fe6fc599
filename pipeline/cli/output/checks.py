"""The checks of `unvarnished doctor`."""

from collections.abc import Sequence
from typing import Protocol

from rich.console import Console


class Check(Protocol):
    """The result of one check."""

    @property
    def name(self) -> str: ...
    @property
    def found(self) -> str: ...
    @property
    def wrong(self) -> bool: ...
    @property
    def advice(self) -> str: ...
    @property
    def warning(self) -> bool: ...


def show_checks(console: Console, checks: Sequence[Check]) -> None:
    """Print a line per check, and below each problem how to correct it."""
    for check in checks:
        state = "wrong" if check.wrong else "warn" if check.warning else "ok"
        console.print(f"{state:<6} {check.name}: {check.found}", highlight=False, markup=False, soft_wrap=True)
        if check.wrong or check.warning:
            console.print(f"       {check.advice}", highlight=False, markup=False, soft_wrap=True)
