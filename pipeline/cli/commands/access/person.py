"""The data of a person: found by number, e-mail address or ids, exported, erased."""

from enum import StrEnum
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from pipeline.app.errors import fail
from pipeline.cli.options import Format, Output, print_json

if TYPE_CHECKING:
    from pipeline.store.people.persons import PersonKey, PersonSummary
    from pipeline.store.store import Store

app = typer.Typer(no_args_is_help=True, help="Find, export and erase the data of a person.")

_ORIGIN = "command line"
Who = Annotated[
    str, typer.Argument(help="Phone number, e-mail address, or ids as ACCOUNT/CONTACT. Put a number in quotes.")
]
Chosen = Annotated[
    list[str] | None,
    typer.Option("--person", metavar="ACCOUNT/CONTACT", help="Of several who share the address. Can be repeated."),
]
All = Annotated[bool, typer.Option("--all", help="All who share the address.")]


class ExportFormat(StrEnum):
    """The format of an export."""

    JSON = "json"
    HTML = "html"


@app.command("find")
def find_command(who: Who, output: Output = Format.TABLE) -> None:
    """List every contact of every account that has this number or address."""
    from rich.console import Console

    from pipeline.cli.output.access.person import show_persons
    from pipeline.cli.session import open_store

    with open_store() as store:
        found = _find(store, who)
    if output is Format.JSON:
        print_json([{name: getattr(one, name) for name in one.__struct_fields__} for one in found])
    else:
        show_persons(Console(), found)


@app.command("export")
def export_command(
    who: Who,
    chosen: Chosen = None,
    everybody: All = False,
    form: Annotated[ExportFormat, typer.Option("--format", help="json for programs, html for people.")] = (
        ExportFormat.JSON
    ),
    target: Annotated[Path | None, typer.Option("--output", help="File to write. Without it, standard output.")] = None,
) -> None:
    """Export everything that is known about a person. It is recorded as an act."""
    from pipeline.app.installation import now
    from pipeline.cli.output.access.person import export_html, export_json
    from pipeline.cli.session import open_store
    from pipeline.domain.access.principal import LOCAL
    from pipeline.store.people import personal_data

    with open_store() as store:
        persons = _choose(store, who, chosen or [], everybody)
        found = [personal_data.export(store, LOCAL, person, _ORIGIN, now()) for person in persons]
    text = export_json(found) if form is ExportFormat.JSON else export_html(found)
    if target is None:
        print(text)
    else:
        target.touch(mode=0o600)
        target.write_text(text, encoding="utf-8")


@app.command("erase")
def erase_command(who: Who, chosen: Chosen = None, everybody: All = False, output: Output = Format.TABLE) -> None:
    """Ask for the erasure of a person. A second user confirms it on the page of erasures; where no user could, it takes
    effect after seven days.
    """
    from rich.console import Console

    from pipeline.app.installation import now
    from pipeline.cli.output.access.person import show_erasures
    from pipeline.cli.session import open_store
    from pipeline.domain.access.principal import LOCAL
    from pipeline.store.people import personal_data

    with open_store() as store:
        persons = _choose(store, who, chosen or [], everybody)
        found = personal_data.request_erasure(store.engine, LOCAL, persons, _ORIGIN, now())
    if output is Format.JSON:
        print_json([one._asdict() for one in found])
    else:
        show_erasures(Console(), found)


@app.command("erasures")
def erasures_command(output: Output = Format.TABLE) -> None:
    """List the erasures that wait for a second user or for their time, and the newest that were carried out."""
    from rich.console import Console

    from pipeline.cli.output.access.person import show_erasures
    from pipeline.cli.session import read_database
    from pipeline.store.people import erasure

    with read_database() as connection:
        found = [*erasure.pending(connection), *erasure.done(connection, 100)]
    if output is Format.JSON:
        print_json([one._asdict() for one in found])
    else:
        show_erasures(Console(), found)


def _find(store: "Store", who: str) -> "list[PersonSummary]":
    from pipeline.domain.access.principal import LOCAL
    from pipeline.store.db.engine import reading
    from pipeline.store.people import personal_data, persons

    person = _ids(who)
    with reading(store.engine) as connection:
        if person is not None and persons.exists(connection, person):
            return [persons.summary(connection, store.vault, person)]
    return personal_data.find(store, LOCAL, who)


def _choose(store: "Store", who: str, chosen: list[str], everybody: bool) -> "list[PersonKey]":
    """Those of the persons found whom the options choose. Exits with an error message if that is unclear."""
    found = [one.key for one in _find(store, who)]
    if everybody or (len(found) == 1 and not chosen):
        return found
    names = {str(person): person for person in found}
    if not chosen:
        fail(f"{len(found)} contacts share it: {', '.join(names)}. Choose with --person ACCOUNT/CONTACT, or --all")
    unknown = [name for name in chosen if name not in names]
    if unknown:
        fail(f"--person: {unknown[0]!r} does not have it; these do: {', '.join(names)}")
    return [names[name] for name in chosen]


def _ids(who: str) -> "PersonKey | None":
    from pipeline.store.people.persons import PersonKey

    account, separator, contact = who.partition("/")
    return PersonKey(account, contact) if separator and account and contact else None
