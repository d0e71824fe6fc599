"""The messages that customers get, as a table."""

from collections.abc import Sequence

from rich.console import Console
from rich.table import Table

from pipeline.notifiers.wording.preview import LanguageCost, PreviewedMessage
from pipeline.notifiers.wording.sentences import plain


def show_messages(console: Console, messages: Sequence[PreviewedMessage]) -> None:
    """Print one row per message and language."""
    table = Table(title=f"{len(messages)} messages", title_justify="left")
    for heading in ("message", "language", "segments", "cost", "text"):
        table.add_column(heading, overflow="fold")
    for message in messages:
        cost = _price(message.cost)
        table.add_row(message.template, message.language, str(message.segments), cost, plain(message.text))
    console.print(table)


def show_costs(console: Console, languages: Sequence[LanguageCost]) -> None:
    """Print one row per language: segments and cost of a question, and of a conversation up to its end."""
    table = Table(title="Segments and cost by language", title_justify="left")
    for heading in ("language", "alphabet", "question", "cost", "conversation", "cost"):
        table.add_column(heading)
    for one in languages:
        question = str(one.question_segments), _price(one.question_cost)
        table.add_row(
            one.language, one.alphabet, *question, str(one.conversation_segments), _price(one.conversation_cost)
        )
    console.print(table)


def _price(amount: float | None) -> str:
    return "-" if amount is None else f"{amount:,.4f}"
