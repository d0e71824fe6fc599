"""The receivers of incidents, as tables."""

from collections.abc import Sequence
from datetime import datetime
from typing import Protocol

from rich.console import Console
from rich.table import Table

from pipeline.notifiers.wording.sentences import plain


class State(Protocol):
    """A receiver and its backlog."""

    @property
    def name(self) -> str: ...
    @property
    def target(self) -> str: ...
    @property
    def pending(self) -> int: ...
    @property
    def oldest(self) -> datetime | None: ...
    @property
    def dead(self) -> int: ...
    @property
    def last_failure(self) -> str | None: ...


class Tested(Protocol):
    """The result of a test message."""

    @property
    def name(self) -> str: ...
    @property
    def delivered(self) -> bool: ...
    @property
    def why(self) -> str: ...


def show_receivers(console: Console, states: Sequence[State]) -> None:
    """Print one row per receiver."""
    if not states:
        console.print("No receivers: set UNVARNISHED_RECEIVERS_FILE (docs/receivers.md).")
        return
    table = Table(title=f"{len(states)} receivers", title_justify="left")
    for heading in ("receiver", "sends to", "waiting", "given up", "last failure"):
        table.add_column(heading, overflow="fold")
    for state in states:
        waiting, dead = str(state.pending), str(state.dead)
        table.add_row(state.name, plain(state.target), waiting, dead, plain(state.last_failure or ""))
    console.print(table)


def show_tests(console: Console, results: Sequence[Tested]) -> None:
    """Print one line per receiver."""
    for result in results:
        found = "ok" if result.delivered else f"failed: {plain(result.why)}"
        console.print(f"{result.name}: {found}", highlight=False, markup=False, soft_wrap=True)
