"""The receivers of incidents."""

from typing import Annotated

import typer

from pipeline.cli.options import Format, Output, print_json

app = typer.Typer(no_args_is_help=True, help="Show and test the receivers of incidents.")


@app.command("list")
def list_receivers_command(output: Output = Format.TABLE) -> None:
    """List the configured receivers with what waits for each, what was given up, and the last failures."""
    from rich.console import Console

    from pipeline.app.administration.receivers import receiver_states
    from pipeline.cli.output.receivers import show_receivers
    from pipeline.settings import Settings

    found = receiver_states(Settings())
    if output is Format.JSON:
        print_json([state._asdict() for state in found])
    else:
        show_receivers(Console(), found)


@app.command("test")
def send_test_command(
    name: Annotated[str | None, typer.Argument(help="Name of one receiver. Default: all of them.")] = None,
    output: Output = Format.TABLE,
) -> None:
    """Send a test message to the receivers. Exits with 1 if one of them does not take it."""
    from rich.console import Console

    from pipeline.app.administration.receivers import test_receivers
    from pipeline.cli.output.receivers import show_tests
    from pipeline.settings import Settings

    found = test_receivers(Settings(), name)
    if output is Format.JSON:
        print_json([result._asdict() for result in found])
    else:
        show_tests(Console(), found)
    if not all(result.delivered for result in found):
        raise typer.Exit(1)


@app.command("retry")
def retry_receiver_command(name: Annotated[str, typer.Argument(help="Name of the receiver.")]) -> None:
    """Send the notices again that were given up."""
    from pipeline.app.administration.receivers import retry_receiver
    from pipeline.cli.session import open_engine
    from pipeline.settings import Settings

    with open_engine() as engine:
        n = retry_receiver(engine, Settings(), name)
    print(f"{n} notices will be sent again.")
