"""API keys of the systems that send events."""

from typing import Annotated

import typer

from pipeline.cli.options import Format, Output, print_json

app = typer.Typer(no_args_is_help=True, help="Manage the API keys of the systems that send events.")

_SHOWN = ("name", "history", "created_at", "revoked_at")


@app.command("create")
def create_key_command(
    name: Annotated[str, typer.Argument(help="Name of the system that uses the key, as in erp-lyon.")],
    history: Annotated[bool, typer.Option("--history", help="Allow the key to send historic events.")] = False,
) -> None:
    """Create an API key and print it. It cannot be shown again: only its hash is stored."""
    from pipeline.app.maintenance import create_key
    from pipeline.cli.session import open_engine

    with open_engine() as engine:
        print(create_key(engine, name, history))


@app.command("list")
def list_keys_command(output: Output = Format.TABLE) -> None:
    """List all API keys, revoked ones included, oldest first."""
    from rich.console import Console

    from pipeline.cli.output.access.keys import show_keys
    from pipeline.cli.session import read_database
    from pipeline.store.people import api_keys

    with read_database() as connection:
        found = api_keys.all_keys(connection)
    if output is Format.JSON:
        print_json([{field: getattr(key, field) for field in _SHOWN} for key in found])
    else:
        show_keys(Console(), found)


@app.command("revoke")
def revoke_key_command(name: Annotated[str, typer.Argument(help="Name of the key, as `keys list` prints it.")]) -> None:
    """Revoke an API key. It stops working within a second."""
    from pipeline.app.maintenance import revoke_key
    from pipeline.cli.session import open_engine

    with open_engine() as engine:
        revoke_key(engine, name)
