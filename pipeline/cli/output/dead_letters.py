"""Dead letters as a table: enough to correct their source, never their content."""

from collections.abc import Sequence

from rich.console import Console
from rich.table import Table

from pipeline.notifiers.wording.sentences import plain
from pipeline.store.journal.dead_letters import DeadLetter


def show_dead_letters(console: Console, dead_letters: Sequence[DeadLetter]) -> None:
    """Print one row per dead letter."""
    if not dead_letters:
        console.print("No dead letters: every event could be processed.")
        return
    table = Table(title=f"{len(dead_letters)} dead letters", title_justify="left", expand=True)
    for heading in ("position", "field", "reason"):
        table.add_column(heading, overflow="fold")
    for row in dead_letters:
        table.add_row(plain(row.position), plain(row.field or "the whole event"), plain(row.reason))
    console.print(table)
