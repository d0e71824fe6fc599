"""The messages that customers get."""

import typer

from pipeline.cli.options import Format, Output, print_json

app = typer.Typer(no_args_is_help=True, help="Show the messages that customers get.")


@app.callback()
def messages() -> None:
    """Show the messages that customers get."""


@app.command("preview")
def preview_command(output: Output = Format.TABLE) -> None:
    """Print every message in every language, with the configured company name and address and its segments."""
    from rich.console import Console

    from pipeline.cli.output.messages import show_messages
    from pipeline.notifiers.wording.preview import preview
    from pipeline.settings import Settings

    settings = Settings()
    found = list(preview(settings.company_name, settings.public_url))
    if output is Format.JSON:
        print_json([message._asdict() for message in found])
    else:
        show_messages(Console(), found)
