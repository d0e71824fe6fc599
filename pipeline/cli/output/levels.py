"""Segment levels as a table and as JSON."""

from collections.abc import Sequence
from datetime import date
from typing import Any

from rich.console import Console
from rich.table import Table

from pipeline.app.administration.levels import LevelState
from pipeline.notifiers.wording.sentences import plain


def level_json(level: LevelState) -> dict[str, Any]:
    """A level as JSON. `since`: the UTC day from which it is judged; `threshold_days`: A."""
    return {
        "dimension": level.use.level,
        "capacity": level.use.capacity,
        "segments": level.use.segments,
        "exceeded": level.use.exceeded,
        "state": level.state,
        "since": None if level.since is None else date.fromordinal(level.since).isoformat(),
        "threshold_days": level.threshold,
    }


def show_levels(console: Console, levels: Sequence[LevelState]) -> None:
    """Print one row per level, and what to do about those with more segments than configured."""
    table = Table(title=f"{len(levels)} levels", title_justify="left")
    for heading in ("level", "capacity", "segments", "state", "judged from (UTC)"):
        table.add_column(heading)
    for level in levels:
        since = "the first start" if level.since is None else str(date.fromordinal(level.since))
        judged = since if level.state == "watched" else "not yet" if level.state == "adding" else "no more"
        table.add_row(plain(level.use.level), str(level.use.capacity), str(level.use.segments), level.state, judged)
    console.print(table)
    for level in levels:
        if level.state != "watched":
            console.print(f"{plain(level.use.level)}: to complete it, repeat the command that was interrupted.")
        elif level.use.exceeded:
            wider = level.use.suggestion
            console.print(
                f"{plain(level.use.level)} has more segments than its capacity: more false alerts than promised are "
                f"possible. To correct that: unvarnished levels add {wider.name}:{wider.capacity}",
                soft_wrap=True,
            )
