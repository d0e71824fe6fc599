"""The messages that customers get."""

import typer

from pipeline.cli.options import Format, Output, print_json

app = typer.Typer(no_args_is_help=True, help="Show the messages that customers get.")


@app.callback()
def messages() -> None:
    """Show the messages that customers get."""


@app.command("preview")
def preview_command(output: Output = Format.TABLE) -> None:
    """Print every message in every language, with the configured company name and address, its segments and cost.

    The cost is that of UNVARNISHED_SMS_SEGMENT_PRICE; a table at the end sums it up by language.
    """
    from rich.console import Console

    from pipeline.cli.output.messages import show_costs, show_messages
    from pipeline.notifiers.wording.preview import costs, preview
    from pipeline.settings import Settings

    settings = Settings()
    found = list(
        preview(
            settings.company_name,
            settings.public_url,
            settings.sms_segment_price,
            settings.own_words,
            settings.contact_phone,
        )
    )
    if output is Format.JSON:
        print_json([message._asdict() for message in found])
    else:
        show_messages(Console(), found)
        show_costs(Console(), costs(found))
