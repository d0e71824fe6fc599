"""The dead letters in a terminal: enough to mend their source, never what is in them."""

from collections.abc import Sequence

from rich.console import Console
from rich.table import Table

from pipeline.notifiers.wording.sentences import plain
from pipeline.store.reads.reports import DeadLetter


def show_dead_letters(console: Console, letters: Sequence[DeadLetter]) -> None:
    """One row per dead letter."""
    if not letters:
        console.print("No dead letters: everything that came could be read.")
        return
    table = Table(title=f"{len(letters)} dead letters", title_justify="left", expand=True)
    for heading in ("where", "field", "what is wrong"):
        table.add_column(heading, overflow="fold")
    for letter in letters:
        table.add_row(plain(letter.position), plain(letter.field or "the whole"), plain(letter.reason))
    console.print(table)
