"""Users of the internal listener: invitations, roles, API tokens."""

from datetime import timedelta
from typing import Annotated

import typer

from pipeline.cli.options import Format, Output, print_json

app = typer.Typer(no_args_is_help=True, help="Manage the users of the internal listener, and their API tokens.")

Name = Annotated[str, typer.Argument(help="Name of the user. Capitals make no difference.")]
RoleName = Annotated[
    str, typer.Option("--role", help="Role: management, operations, account_manager, auditor or admin.")
]
ScopeEntries = Annotated[
    list[str] | None,
    typer.Option(
        "--scope",
        metavar="ENTRY",
        help="Entry of the scope, as in region=ARA, for account managers account=A-1. Can be repeated.",
    ),
]


@app.command("add")
def add_command(name: Name, role: RoleName, scope: ScopeEntries = None) -> None:
    """Add a user and print a link that works once, with which they choose a password."""
    from pipeline.app.administration import users as user_administration
    from pipeline.cli.session import open_engine
    from pipeline.settings import Settings

    with open_engine() as engine:
        print(user_administration.add(engine, Settings(), name, role, scope or []))


@app.command("list")
def list_command(output: Output = Format.TABLE) -> None:
    """List all users with role, scope and state."""
    from rich.console import Console

    from pipeline.cli.output.access.users import show_users
    from pipeline.cli.session import read_database
    from pipeline.store.users import users

    with read_database() as connection:
        found = users.all_users(connection)
    if output is Format.JSON:
        print_json(
            [
                {
                    "name": user.name,
                    "role": user.role,
                    "scope": None if user.scope.is_everything else user.scope.texts(),
                    "state": user.state,
                    "second_factor": user.totp is not None,
                    "identity_provider": user.identity is not None,
                    "created_at": user.created_at,
                }
                for user in found
            ]
        )
    else:
        show_users(Console(), found)


@app.command("change")
def change_command(name: Name, role: RoleName, scope: ScopeEntries = None) -> None:
    """Give a user another role and scope. They count from the next request on."""
    from pipeline.app.administration import users as user_administration
    from pipeline.cli.session import open_engine

    with open_engine() as engine:
        user_administration.change(engine, name, role, scope or [])


@app.command("disable")
def disable_command(name: Name) -> None:
    """Disable a user: sessions end, and API tokens and links stop working."""
    from pipeline.app.administration import users as user_administration
    from pipeline.cli.session import open_engine

    with open_engine() as engine:
        user_administration.disable(engine, name)


@app.command("enable")
def enable_command(name: Name) -> None:
    """Enable a disabled user."""
    from pipeline.app.administration import users as user_administration
    from pipeline.cli.session import open_engine

    with open_engine() as engine:
        user_administration.enable(engine, name)


@app.command("reset")
def reset_command(name: Name) -> None:
    """Remove password and second factor of a user, end the sessions, and print a new invitation link."""
    from pipeline.app.administration import users as user_administration
    from pipeline.cli.session import open_engine
    from pipeline.settings import Settings

    with open_engine() as engine:
        print(user_administration.reset(engine, Settings(), name))


@app.command("link")
def link_command() -> None:
    """Print a new start link. It works once, within an hour, and only while the start token works."""
    from pipeline.app.administration import users as user_administration
    from pipeline.cli.session import open_engine
    from pipeline.settings import Settings

    with open_engine() as engine:
        print(user_administration.start_link(engine, Settings()))


@app.command("token")
def token_command(
    name: Name,
    label: Annotated[str, typer.Option("--label", help="What the token is for, as in power-bi.")],
    role: Annotated[str | None, typer.Option("--role", help="Role of the token. Default: that of the user.")] = None,
    scope: ScopeEntries = None,
    days: Annotated[int, typer.Option(min=1, max=3_650, help="Days after which the token ends.")] = 365,
    revoke: Annotated[bool, typer.Option("--revoke", help="Revoke the token with that label instead.")] = False,
) -> None:
    """Create an API token of a user and print it. It cannot be shown again, and never opens more than its user may."""
    from pipeline.app.administration import users as user_administration
    from pipeline.cli.session import open_engine

    with open_engine() as engine:
        if revoke:
            user_administration.revoke_token(engine, name, label)
        else:
            wanted = user_administration.TokenWish(label, role, scope, timedelta(days=days))
            print(user_administration.create_token(engine, name, wanted))
