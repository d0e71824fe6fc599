"""What has to be settled with customers: list, show, assign, note, close, reopen."""

from collections.abc import Callable
from typing import TYPE_CHECKING, Annotated, Any

import typer

from pipeline.app.errors import fail
from pipeline.cli.options import Format, Output, print_json

if TYPE_CHECKING:
    from pipeline.domain.cases.case import CaseAct

app = typer.Typer(invoke_without_command=True, help="List the cases that people have to settle, and act on them.")

CaseId = Annotated[str, typer.Argument(metavar="ID", help="Id of a case, as `cases` prints it.")]
Words = Annotated[str, typer.Argument(metavar="WORDS", help="What was done or said; it is stored encrypted.")]
Limit = Annotated[int, typer.Option("--limit", min=1, max=1_000, help="Number of cases to print.")]
_OUTCOMES = "delivered, replaced, credited, explained, apologised, no_fault_found, not_reached, other"
_BY = "local"


@app.callback()
def list_command(
    context: typer.Context,
    closed: Annotated[bool, typer.Option("--closed", help="List closed cases, the newest first.")] = False,
    owner: Annotated[str | None, typer.Option("--owner", metavar="NAME", help="Cases of this owner only.")] = None,
    limit: Limit = 100,
    output: Output = Format.TABLE,
) -> None:
    """List the open cases, those that are due first at the front."""
    if context.invoked_subcommand is not None:
        return
    import msgspec
    from rich.console import Console

    from pipeline.cli.output.cases import show_cases
    from pipeline.cli.session import read_database
    from pipeline.domain.access.principal import LOCAL
    from pipeline.domain.reports.cases import case_out
    from pipeline.store.cases import reads

    with read_database() as connection:
        listed = reads.closed if closed else reads.still_open
        found = [case_out(case) for case in listed(connection, LOCAL, limit, owner=owner)]
        number = reads.number_open(connection, LOCAL)
    if output is Format.JSON:
        print_json([msgspec.to_builtins(case) for case in found])
    else:
        show_cases(Console(), found, *number)


@app.command("show")
def show_command(case_id: CaseId, output: Output = Format.TABLE) -> None:
    """Print one case with its acts and the conversation."""
    import msgspec
    from rich.console import Console

    from pipeline.cli.output.cases import show_case
    from pipeline.cli.session import open_store
    from pipeline.domain.access.principal import LOCAL
    from pipeline.store.db.engine import reading
    from pipeline.web.internal.cases.api import detail_of

    with open_store() as store, reading(store.engine) as connection:
        found = detail_of(connection, store, LOCAL, case_id)
    if found is None:
        fail(f"there is no case {case_id!r}")
    if output is Format.JSON:
        print_json(msgspec.to_builtins(found))
    else:
        show_case(Console(), found)


@app.command("assign")
def assign_command(
    case_id: CaseId, owner: Annotated[str, typer.Argument(metavar="NAME", help="Name of a user.")]
) -> None:
    """Give a case an owner."""
    from pipeline.domain.cases import lifecycle

    _act(case_id, lambda case, policy, now: lifecycle.assign(case, owner, _BY, now))


@app.command("note")
def note_command(
    case_id: CaseId,
    words: Words,
    call: Annotated[bool, typer.Option("--call", help="It is the note of a phone call.")] = False,
) -> None:
    """Write down what was done, or what was said in a call."""
    from pipeline.domain.cases import lifecycle

    kind = "call" if call else "note"
    _act(case_id, lambda case, policy, now: lifecycle.note(case, kind, words, _BY, now))


@app.command("close")
def close_command(
    case_id: CaseId,
    outcome: Annotated[str, typer.Argument(metavar="OUTCOME", help=f"One of: {_OUTCOMES}.")],
    words: Words,
) -> None:
    """Close a case with its outcome. After the first closing, the customer is asked whether it is settled."""
    from pipeline.domain.cases import lifecycle

    _act(case_id, lambda case, policy, now: lifecycle.close(case, outcome, words, _BY, now))


@app.command("reopen")
def reopen_command(
    case_id: CaseId, words: Annotated[str, typer.Argument(metavar="WORDS", help="Why; may be left out.")] = ""
) -> None:
    """Take back the closing of a case: it is due anew."""
    from pipeline.domain.cases import lifecycle

    _act(case_id, lambda case, policy, now: lifecycle.reopen(case, words, policy, _BY, now))


def _act(case_id: str, decide: "Callable[[Any, Any, Any], CaseAct]") -> None:
    from pipeline.app.administration.cases import act_on_case
    from pipeline.cli.session import open_engine
    from pipeline.domain.incidents.lifecycle import Refused
    from pipeline.settings import Settings

    with open_engine():  # records the command
        try:
            found = act_on_case(Settings(), case_id, decide)
        except Refused as refused:
            fail(str(refused))
    if found is None:
        fail(f"there is no case {case_id!r}")
    print(f"{found.case_id} is {found.state}.")
