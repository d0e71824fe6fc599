"""The `unvarnished` command."""

import gc

import typer

from pipeline.cli import benches, figures, running, upkeep

app = typer.Typer(no_args_is_help=True, add_completion=False, pretty_exceptions_enable=False)
for commands in (running.app, figures.app, upkeep.app):
    app.add_typer(commands)
app.add_typer(upkeep.keys, name="keys")
app.add_typer(upkeep.dead_letters, name="dead-letters")
app.add_typer(upkeep.topics, name="topics")
app.add_typer(benches.app, name="bench")


def main() -> None:
    """Entry point of the command."""
    # A batch is thousands of small trees without a cycle: looking for cycles after every 700 of them costs a tenth.
    gc.set_threshold(100_000, 50, 100)
    app()
