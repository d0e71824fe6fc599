"""The record of acts: who did what when, to what, from where."""

from typing import Annotated

import typer

from pipeline.cli.options import Format, Output, print_json

app = typer.Typer()


@app.command("acts")
def acts_command(
    who: Annotated[str | None, typer.Option("--who", metavar="NAME", help="Only the acts of this user.")] = None,
    most: Annotated[int, typer.Option("--most", min=1, max=100_000, help="Number of acts to print.")] = 100,
    output: Output = Format.TABLE,
) -> None:
    """List what users and commands did, newest first."""
    import msgspec
    from rich.console import Console

    from pipeline.cli.output.access.users import show_acts
    from pipeline.cli.session import read_database
    from pipeline.domain.access.principal import LOCAL
    from pipeline.store.acts.acts import newest

    with read_database() as connection:
        found = newest(connection, LOCAL, most, who=who)
    if output is Format.JSON:
        print_json([{"seq": stored.seq, **msgspec.structs.asdict(stored.act)} for stored in found])
    else:
        show_acts(Console(), found)
