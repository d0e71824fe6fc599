"""Corrections of how an answer was read."""

from typing import Annotated, Any

import typer

from pipeline.app.errors import fail
from pipeline.cli.options import Format, Output, print_json

app = typer.Typer(no_args_is_help=True, help="Correct how an answer was read.")


@app.command("propose")
def propose_command(
    order: Annotated[str, typer.Argument(help="Order id.")],
    contact: Annotated[str, typer.Argument(help="Contact id. The newest answer of this contact is corrected.")],
    arrival: Annotated[str | None, typer.Option(help="on_time, late or not_received.")] = None,
    complete: Annotated[bool | None, typer.Option("--complete/--incomplete", help="Whether all goods arrived.")] = None,
    condition: Annotated[
        list[str] | None, typer.Option(help="damaged, incomplete, wrong or papers_missing. Can be repeated.")
    ] = None,
    score: Annotated[int | None, typer.Option(help="Score on the scale.")] = None,
    scale: Annotated[int, typer.Option(help="Scale of the score: 10 (0 to 10) or 5 (1 to 5).")] = 10,
) -> None:
    """Propose how the newest answer of a contact is to be read.

    A command could be anybody's, so another user without a stake in the order has to confirm it; where there is no such
    user, it counts after seven days.
    """
    import msgspec

    from pipeline.app.administration.corrections import propose
    from pipeline.domain.events.contract import Reading
    from pipeline.settings import Settings

    given: dict[str, Any] = {"arrival": arrival, "complete": complete, "condition": condition or []}
    given["score"] = None if score is None else {"value": score, "scale": scale}
    try:
        reading = msgspec.convert(given, Reading)
    except msgspec.ValidationError as error:
        fail(str(error))
    print(propose(Settings(), order, contact, reading))


@app.command("list")
def list_command(output: Output = Format.TABLE) -> None:
    """List the corrections that wait for a second user, oldest first."""
    import msgspec

    from pipeline.cli.session import read_database
    from pipeline.domain.access.principal import LOCAL
    from pipeline.store.acts.corrections import waiting

    with read_database() as connection:
        found = waiting(connection, LOCAL)
    if output is Format.JSON:
        print_json([one._asdict() | {"reading": msgspec.to_builtins(one.reading)} for one in found])
        return
    for one in found:
        print(f"{one.correction_id}  order {one.order_id}, contact {one.contact_id}, by {one.by}, {one.proposed_at}")
    if not found:
        print("No correction waits.")
