"""The root of the command line: all commands, the handling of errors, the entry point.

Modules of commands import the product inside their functions, so that `--help` of any command loads none of it.
"""

import gc
import sys
import warnings
from typing import Annotated, Any, TextIO

import typer
from typer.core import TyperGroup

from pipeline import __version__
from pipeline.app.errors import user_errors
from pipeline.cli.commands import (
    bench,
    cases,
    dead_letters,
    delivery_notes,
    demo,
    inbox,
    levels,
    maintenance,
    messages,
    receivers,
    reports,
    running,
    simulate,
    topics,
)
from pipeline.cli.commands.access import acts, corrections, keys, person, users
from pipeline.cli.permissions import start_command


class _Root(TyperGroup):
    def invoke(self, ctx: Any) -> Any:
        """Run a command. An error that the user can correct becomes a sentence on stderr and an exit code."""
        path = _command_path(self, [*ctx._protected_args, *ctx.args])
        if path:
            start_command(path)
        with user_errors():
            return super().invoke(ctx)


def _command_path(group: Any, arguments: list[str]) -> str:
    """The names of the command that these arguments call; "" if they call none."""
    names: list[str] = []
    for name in arguments:
        command = getattr(group, "commands", {}).get(name)
        if command is None:
            break
        names.append(name)
        group = command
    only_a_group = hasattr(group, "commands") and not group.invoke_without_command
    return "" if only_a_group else " ".join(names)


app = typer.Typer(cls=_Root, no_args_is_help=True, add_completion=False, pretty_exceptions_enable=False)
for commands in (running.app, demo.app, reports.app, simulate.app, maintenance.app, acts.app, delivery_notes.app):
    app.add_typer(commands)
app.add_typer(keys.app, name="keys")
app.add_typer(levels.app, name="levels")
app.add_typer(users.app, name="users")
app.add_typer(person.app, name="person")
app.add_typer(corrections.app, name="corrections")
app.add_typer(dead_letters.app, name="dead-letters")
app.add_typer(cases.app, name="cases")
app.add_typer(inbox.app, name="inbox")
app.add_typer(messages.app, name="messages")
app.add_typer(receivers.app, name="receivers")
app.add_typer(topics.app, name="topics")
app.add_typer(bench.app, name="bench")


def _print_version(wanted: bool) -> None:
    if wanted:
        print(f"unvarnished {__version__}")
        raise typer.Exit


@app.callback()
def root(
    version: Annotated[
        bool, typer.Option("--version", callback=_print_version, is_eager=True, help="Print the version and exit.")
    ] = False,
) -> None:
    """Compare what operations claims about each order with what the customer experienced."""


def main() -> None:
    """Entry point of the command."""
    # A batch creates thousands of small objects without cycles. Python's default, a search for cycles after every 700
    # of them, costs a tenth of the throughput.
    gc.set_threshold(100_000, 50, 100)
    warnings.showwarning = _show_warning
    app()


def _show_warning(
    message: Warning | str,
    category: type[Warning],
    filename: str,
    lineno: int,
    file: TextIO | None = None,
    line: str | None = None,
) -> None:
    """Print a warning for the user as a sentence, any other one as Python does. Called by the module `warnings`."""
    if category.__name__ == "RenamedSettingWarning":  # the class itself would load the settings
        text = f"unvarnished: {message}\n"
    else:
        text = warnings.formatwarning(message, category, filename, lineno, line)
    (file or sys.stderr).write(text)
