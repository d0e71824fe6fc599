"""What keeps an installation going: its schema, keys, topics and dead letters, history taken in, and what is wrong."""

from enum import StrEnum
from pathlib import Path
from typing import Annotated

import typer
from rich.console import Console

from pipeline.app.doctor import examine
from pipeline.app.errors import complaints
from pipeline.app.installation import (
    create_key,
    open_installation,
    replay_history,
    retry_dead_letters,
    revoke_key,
)
from pipeline.cli.common import Format, Output, database, opened, print_json, progress
from pipeline.cli.output import show_dead_letters
from pipeline.cli.output.checks import show_checks
from pipeline.cli.output.keys import show_keys
from pipeline.cli.output.topics import show_topics
from pipeline.consumers.cluster.kafka.topics import Outcome, create
from pipeline.settings import Settings
from pipeline.sources.olist import LEVELS as OLIST_LEVELS
from pipeline.sources.olist import OlistHistory
from pipeline.store.db.engine import migrate
from pipeline.store.people import api_keys
from pipeline.store.reads import reports

app = typer.Typer()
dead_letters = typer.Typer(no_args_is_help=True, help="Events nobody could process.")
topics = typer.Typer(no_args_is_help=True, help="The topics of a Kafka cluster.")
keys = typer.Typer(no_args_is_help=True, help="API keys of the systems that send events.")


class Source(StrEnum):
    """A history that can be replayed."""

    OLIST = "olist"


@app.command("doctor")
def doctor_command(output: Output = Format.TABLE) -> None:
    """What is wrong with this installation, and what to do about it. Changes nothing."""
    with complaints():
        checks = examine(Settings())
    if output is Format.JSON:
        print_json([check._asdict() for check in checks])
    else:
        show_checks(Console(), checks)
    if any(check.wrong for check in checks):
        raise typer.Exit(1)


@app.command("migrate")
def migrate_command() -> None:
    """Bring the database's schema to this version."""
    with complaints():
        migrate(Settings().url)


@app.command()
def replay(source: Source, path: Annotated[Path, typer.Argument(help="folder of the history's files")]) -> None:
    """Take real history through the same processors. A second time changes nothing."""
    console = Console(stderr=True)
    with complaints():
        history = OlistHistory(path)
        installation = open_installation(Settings(), OLIST_LEVELS)
        with progress(console, f"Replaying {source}") as advance:
            totals = replay_history(installation, history, lambda done: advance(done, len(history)))
    console.print(f"{totals.new} new events, {totals.duplicates} known already, {totals.dead} dead letters.")
    if totals.dead:
        console.print("What could not be read: unvarnished dead-letters list")


@keys.command("create")
def create_key_command(
    name: Annotated[str, typer.Argument(help="the system that will hold it, as in erp-lyon")],
    history: Annotated[bool, typer.Option("--history", help="it may send events of the past, too")] = False,
) -> None:
    """Make a key and print it: the only time, only its hash is kept."""
    with complaints(), opened() as engine:
        print(create_key(engine, name, history))


@keys.command("list")
def list_keys_command(output: Output = Format.TABLE) -> None:
    """Every key there is or was, oldest first."""
    with complaints(), database() as connection:
        found = api_keys.listed(connection)
    if output is Format.JSON:
        shown = ("name", "history", "created_at", "revoked_at")
        print_json([{field: getattr(key, field) for field in shown} for key in found])
    else:
        show_keys(Console(), found)


@keys.command("revoke")
def revoke_key_command(name: Annotated[str, typer.Argument(help="as `keys list` shows it")]) -> None:
    """End a key. It stops working within a second."""
    with complaints(), opened() as engine:
        revoke_key(engine, name)


@dead_letters.command("list")
def list_dead_letters(output: Output = Format.TABLE) -> None:
    """What could not be read, where it was and why, oldest first. Its content stays sealed."""
    with complaints(), database() as connection:
        found = reports.dead_letters(connection)
        if output is Format.JSON:
            print_json([letter._asdict() for letter in found])
        else:
            show_dead_letters(Console(), found)


@dead_letters.command("retry")
def retry_dead_letters_command(output: Output = Format.TABLE) -> None:
    """Take them in once more, as if they came now. Those that fail again stay."""
    with complaints():
        taken = retry_dead_letters(Settings())
    if output is Format.JSON:
        print_json(taken._asdict())
    else:
        print(f"{taken.new} taken in, {taken.duplicates} were known already, {taken.dead} failed again and stay.")


@topics.command("create")
def create_topics(output: Output = Format.TABLE) -> None:
    """Make those that are missing, and tell what differs about the others. They are left as they are."""
    with complaints():
        outcomes = create(Settings())
    if output is Format.JSON:
        print_json([_topic_json(outcome) for outcome in outcomes])
    else:
        show_topics(Console(), outcomes)


def _topic_json(outcome: Outcome) -> dict[str, object]:
    return outcome._asdict() | {"differences": [difference._asdict() for difference in outcome.differences]}
