"""The messages that customers get, as a table."""

from collections.abc import Sequence

from rich.console import Console
from rich.table import Table

from pipeline.notifiers.wording.preview import PreviewedMessage
from pipeline.notifiers.wording.sentences import plain


def show_messages(console: Console, messages: Sequence[PreviewedMessage]) -> None:
    """Print one row per message and language."""
    table = Table(title=f"{len(messages)} messages", title_justify="left")
    for heading in ("message", "language", "segments", "text"):
        table.add_column(heading, overflow="fold")
    for message in messages:
        table.add_row(message.template, message.language, str(message.segments), plain(message.text))
    console.print(table)
