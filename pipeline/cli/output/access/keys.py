"""API keys as a table."""

from collections.abc import Sequence

from rich.console import Console
from rich.table import Table

from pipeline.notifiers.wording.sentences import plain
from pipeline.store.people.api_keys import ApiKey


def show_keys(console: Console, keys: Sequence[ApiKey]) -> None:
    """Print one row per key."""
    if not keys:
        console.print("No API key yet. Create one: unvarnished keys create NAME")
        return
    table = Table(title=f"{len(keys)} API keys", title_justify="left")
    for heading in ("name", "may send history", "created", "revoked"):
        table.add_column(heading)
    for key in keys:
        revoked = "" if key.revoked_at is None else f"{key.revoked_at:%Y-%m-%d %H:%M}"
        table.add_row(plain(key.name), "yes" if key.history else "no", f"{key.created_at:%Y-%m-%d %H:%M}", revoked)
    console.print(table)
