"""Commands that set up, check and fill an installation."""

import sys
from collections.abc import Callable
from contextlib import ExitStack
from enum import StrEnum
from functools import cache
from pathlib import Path
from typing import Annotated

import typer

from pipeline.cli.options import Format, Output, print_json

app = typer.Typer()


class Source(StrEnum):
    """A history that can be replayed."""

    OLIST = "olist"


@app.command("doctor")
def doctor_command(
    output: Output = Format.TABLE,
    accept_clock: Annotated[
        bool,
        typer.Option("--accept-clock", help="First accept this machine's clock as right, although it looks wrong."),
    ] = False,
) -> None:
    """Check this installation and advise how to correct each problem; exits with 1 on a problem.

    Changes nothing, except with --accept-clock.
    """
    from rich.console import Console

    from pipeline.app.doctor import examine
    from pipeline.cli.output.checks import show_checks
    from pipeline.settings import Settings

    settings = Settings()
    if accept_clock:
        from pipeline.app import maintenance

        accepted = maintenance.accept_clock(settings)
        print(f"Accepted: it is {accepted:%Y-%m-%dT%H:%M:%SZ}.", file=sys.stderr)
    checks = examine(settings)
    if output is Format.JSON:
        print_json([check._asdict() for check in checks])
    else:
        show_checks(Console(), checks)
    if any(check.wrong for check in checks):
        raise typer.Exit(1)


@app.command("migrate")
def migrate_command() -> None:
    """Migrate the database to this version. If an earlier version stored words readable, no process may run meanwhile.

    A migration that was interrupted goes on where it stopped when the command is run again.
    """
    from rich.console import Console

    from pipeline.app.maintenance import migrate_database
    from pipeline.cli.session import progress_bar
    from pipeline.settings import Settings

    with ExitStack() as stack:

        def _start_bar() -> Callable[[int, int], None]:
            return stack.enter_context(progress_bar(Console(stderr=True), "Sealing words"))

        bar = cache(_start_bar)  # most migrations seal nothing
        migrate_database(Settings(), lambda done, total: bar()(done, total))


@app.command("cleanup")
def cleanup_command(output: Output = Format.TABLE) -> None:
    """Delete dead letters, marks of handled events and sent notices older than the settings allow. Also done hourly."""
    from pipeline.app.maintenance import delete_expired
    from pipeline.settings import Settings

    deleted = delete_expired(Settings())
    if output is Format.JSON:
        print_json(deleted._asdict())
    else:
        print(f"{deleted.dead_letters} dead letters and {deleted.handled} marks of handled events deleted.")
        print(
            f"{deleted.texts} numbers with texts that belong to no question forgotten, {deleted.erased} persons "
            f"erased, {deleted.notices} notices to receivers deleted."
        )


@app.command()
def replay(
    source: Annotated[Source, typer.Argument(help="Format of the history.")],
    path: Annotated[Path, typer.Argument(help="Folder with the history's files.")],
) -> None:
    """Process the events of a real history. Repeating it changes nothing."""
    from rich.console import Console

    from pipeline.app.installation import open_installation
    from pipeline.app.maintenance import replay_history
    from pipeline.cli.session import progress_bar, record_command
    from pipeline.domain.detection.segments import format_levels
    from pipeline.settings import Settings
    from pipeline.sources.histories.olist.history import LEVELS, OlistHistory

    console = Console(stderr=True)
    history = OlistHistory(path)
    installation = open_installation(Settings(), LEVELS)
    levels = format_levels(installation.setup.levels)
    console.print(f"Counted by {levels}. Another dimension: unvarnished levels add DIMENSION:CAPACITY")
    record_command(installation.store.engine)
    with progress_bar(console, f"Replaying {source}") as advance:
        result = replay_history(installation, history, lambda done: advance(done, len(history)))
    dead = result.dead + len(result.conflicts)
    console.print(f"{result.new} new events, {result.duplicates} duplicates, {dead} dead letters.")
    if dead:
        console.print("The dead letters and their reasons: unvarnished dead-letters list")
