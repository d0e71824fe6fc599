"""Dead letters: events that could not be processed."""

import typer

from pipeline.cli.options import Format, Output, print_json

app = typer.Typer(no_args_is_help=True, help="List and reprocess dead letters: events that could not be processed.")


@app.command("list")
def list_dead_letters(output: Output = Format.TABLE) -> None:
    """List dead letters with their position and reason, oldest first. Their content stays encrypted."""
    from rich.console import Console

    from pipeline.cli.output.dead_letters import show_dead_letters
    from pipeline.cli.session import read_database
    from pipeline.store.journal.dead_letters import all_dead_letters

    with read_database() as connection:
        found = all_dead_letters(connection)
        if output is Format.JSON:
            print_json([dead_letter._asdict() for dead_letter in found])
        else:
            show_dead_letters(Console(), found)


@app.command("retry")
def retry_dead_letters_command(output: Output = Format.TABLE) -> None:
    """Reprocess dead letters. Those that fail again are kept."""
    from pipeline.app.maintenance import retry_dead_letters
    from pipeline.settings import Settings

    result = retry_dead_letters(Settings())
    if output is Format.JSON:
        print_json(result._asdict() | {"conflicts": len(result.conflicts)})
    else:
        kept = result.dead + len(result.conflicts)
        print(f"{result.new} processed, {result.duplicates} duplicates, {kept} failed again and are kept.")
