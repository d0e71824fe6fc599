"""The segment levels of an installation: what is counted and watched for divergence."""

from datetime import date
from typing import Annotated

import typer

from pipeline.app.errors import fail
from pipeline.cli.options import Format, Output, print_json

app = typer.Typer(
    no_args_is_help=True, help="Manage the segment levels: the dimensions of orders that are counted and watched."
)


@app.command("list")
def list_levels_command(output: Output = Format.TABLE) -> None:
    """List the levels with their capacity, and the number of segments seen so far."""
    from rich.console import Console

    from pipeline.app.administration.levels import list_levels
    from pipeline.cli.output.levels import level_json, show_levels
    from pipeline.settings import Settings

    found = list_levels(Settings())
    if output is Format.JSON:
        print_json([level_json(level) for level in found])
    else:
        show_levels(Console(), found)


@app.command("add")
def add_level_command(
    level: Annotated[
        str,
        typer.Argument(
            metavar="DIMENSION:CAPACITY",
            help="Dimension of the orders' events, or several joined by +, and the number of segments to expect, as in "
            "product:40 or depot+tier:100.",
        ),
    ],
) -> None:
    """Add a level, or give one another capacity. All orders and answers so far are counted in it.

    Unvarnished may run meanwhile. If it is interrupted, run it again: it continues. Alerts of the new level, and the
    new thresholds of all levels, begin with the next UTC day; nothing before is judged again.
    """
    from rich.console import Console

    from pipeline.app.administration.levels import add_level
    from pipeline.cli.session import progress_bar
    from pipeline.domain.detection.segments import parse_levels
    from pipeline.domain.events.spelling import normal
    from pipeline.settings import Settings

    try:
        [wanted] = parse_levels(level)
    except ValueError as error:
        fail(f"levels add: {level!r} is not one level" if "unpack" in str(error) else f"levels add: {error}")
    wanted = wanted._replace(name=normal(wanted.name))
    with progress_bar(Console(stderr=True), f"Counting {wanted.name}") as show:
        day, segments = add_level(Settings(), wanted, show)
    if day is None:
        print(f"{wanted.name} is watched already, with a capacity of {wanted.capacity}.")
    else:
        print(f"{wanted.name} is counted: {segments} segments so far. {_from(day)}")
    if not segments:
        print(f"No order has the dimension {wanted.name} so far: compare its spelling with your events.")


@app.command("remove")
def remove_level_command(
    name: Annotated[str, typer.Argument(metavar="DIMENSION", help="Name of the level, as `levels list` prints it.")],
) -> None:
    """Remove a level. Its figures are deleted, its alerts stay. Adding it again counts everything again.

    Unvarnished may run meanwhile. If it is interrupted, run it again: it continues.
    """
    from rich.console import Console

    from pipeline.app.administration.levels import remove_level
    from pipeline.cli.session import progress_bar
    from pipeline.domain.events.spelling import normal
    from pipeline.settings import Settings

    with progress_bar(Console(stderr=True), f"Removing {name}") as show:
        day = remove_level(Settings(), normal(name), show)
    if day is None:
        print(f"{name} was removed before.")
    else:
        print(f"{name} is counted no more. {_from(day)}")


def _from(day: int) -> str:
    first = f"{date.fromordinal(day)} (UTC)" if day else "the first event"
    return f"New thresholds hold from {first} on."
