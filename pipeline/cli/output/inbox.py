"""The inbox in a terminal."""

from collections.abc import Sequence

from rich.console import Console
from rich.table import Table

from pipeline.notifiers.wording.sentences import plain
from pipeline.web.internal.inbox.views import WHY, InboxConversation, InboxEntry, reading_in_words


def show_entries(console: Console, entries: Sequence[InboxEntry], number: int) -> None:
    """Print one row per reply; `number`: how many wait in all."""
    if not entries:
        console.print("Nothing waits: every reply was understood or read.")
        return
    table = Table(title=f"{number} replies wait, the oldest first", title_justify="left")
    for heading in ("id", "received", "order", "words", "claimed", "suggested reading", "why"):
        table.add_column(heading, overflow="fold")
    for entry in entries:
        suggested = reading_in_words(entry.suggested) + (" (proposed)" if entry.proposed_by else "")
        cells = (plain(entry.order_id or "-"), plain(entry.words), entry.claim or "-", suggested, WHY[entry.reason])
        table.add_row(entry.id, f"{entry.received_at:%Y-%m-%d %H:%M}", *cells)
    console.print(table)


def show_conversation(console: Console, found: InboxConversation) -> None:
    """Print a conversation, oldest step first, then the claim and the suggested reading."""
    entry = found.entry
    grid = Table.grid(padding=(0, 2))
    for step in found.conversation:
        who = "customer" if step.voice == "customer" else "we"
        question = f"our question ({plain(step.question)}), by {step.channel}" if step.question else ""
        if step.response:
            question = f"our response, by {step.channel} ({step.state}):"
        pictures = f"[{step.pictures} picture(s), at the provider]" if step.pictures else ""
        said = " ".join(filter(None, [question, plain(step.words or ""), pictures, step.stated]))
        grid.add_row(f"{step.at:%Y-%m-%d %H:%M}", who, said + ("  <- waits" if step.waits else ""))
    console.print(grid)
    console.print(f"Claimed: {entry.claim or 'no order is known'}", markup=False)
    console.print(f"Suggested reading: {reading_in_words(entry.suggested)}", markup=False)
    if entry.proposed is not None and entry.proposed_by is not None:
        proposed = f"{plain(entry.proposed_by)} reads it as: {reading_in_words(entry.proposed)}"
        console.print(f"{proposed}; a second person has to confirm it", markup=False)
