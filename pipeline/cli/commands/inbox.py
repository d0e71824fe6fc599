"""The replies that a person has to read: list, show, confirm, correct."""

from typing import TYPE_CHECKING, Annotated

import typer

from pipeline.app.errors import fail
from pipeline.cli.options import Format, Output, print_json

if TYPE_CHECKING:
    from pipeline.domain.events.contract import Reading

app = typer.Typer(
    invoke_without_command=True, help="List the replies that a person has to read, and decide about them."
)

ItemId = Annotated[str, typer.Argument(metavar="ID", help="Id of a reply, as `inbox` prints it.")]
Limit = Annotated[int, typer.Option("--limit", min=1, max=1_000, help="Number of replies to print, the oldest first.")]
_ARRIVALS = ("on_time", "late", "not_received")
_RESPONSES = ("looking_into_it", "will_call", "on_its_way", "put_right", "please_call")
_CONDITIONS = ("damaged", "incomplete", "wrong", "papers_missing")


@app.callback()
def list_command(context: typer.Context, limit: Limit = 100, output: Output = Format.TABLE) -> None:
    """List the replies that a person has to read, the oldest first, with the claim and the suggested reading."""
    if context.invoked_subcommand is not None:
        return
    import msgspec
    from rich.console import Console

    from pipeline.cli.output.inbox import show_entries
    from pipeline.cli.session import open_store
    from pipeline.consumers.inbox.decisions import READER
    from pipeline.domain.access.principal import LOCAL
    from pipeline.store.db.engine import reading
    from pipeline.store.reads import inbox
    from pipeline.web.internal.inbox.views import entries_of

    with open_store() as store, reading(store.engine) as connection:
        entries = entries_of(connection, store, LOCAL, READER, inbox.waiting(connection, LOCAL, limit))
        number = inbox.number_waiting(connection, LOCAL)
    if output is Format.JSON:
        print_json(msgspec.to_builtins(entries))
    else:
        show_entries(Console(), entries, number)


@app.command("show")
def show_command(item_id: ItemId, output: Output = Format.TABLE) -> None:
    """Print one reply with its conversation, the claim and the suggested reading."""
    import msgspec
    from rich.console import Console

    from pipeline.cli.output.inbox import show_conversation
    from pipeline.cli.session import open_store
    from pipeline.consumers.inbox.decisions import READER
    from pipeline.domain.access.principal import LOCAL
    from pipeline.store.db.engine import reading
    from pipeline.store.reads import inbox
    from pipeline.web.internal.inbox.views import conversation_of

    with open_store() as store, reading(store.engine) as connection:
        item = inbox.read_item(connection, LOCAL, item_id)
        found = None if item is None else conversation_of(connection, store, LOCAL, READER, item)
    if found is None:
        fail(f"there is no reply {item_id!r} in the inbox")
    if output is Format.JSON:
        print_json(msgspec.to_builtins(found))
    else:
        show_conversation(Console(), found)


@app.command("confirm")
def confirm_command(item_id: ItemId) -> None:
    """Confirm the suggested reading of a reply; of a reply without an order, that somebody has read it."""
    _decide(item_id, None)


@app.command("correct")
def correct_command(
    item_id: ItemId,
    arrival: Annotated[str | None, typer.Option("--arrival", help=f"One of: {', '.join(_ARRIVALS)}.")] = None,
    complete: Annotated[
        bool | None, typer.Option("--complete/--not-complete", help="Whether everything was there.")
    ] = None,
    condition: Annotated[
        list[str] | None, typer.Option("--condition", help=f"Any of: {', '.join(_CONDITIONS)}; may be repeated.")
    ] = None,
    score: Annotated[int | None, typer.Option("--score", min=0, max=10, help="Score from 0 to 10.")] = None,
) -> None:
    """Give a reply another reading than the suggested one. What is not given is not stated."""
    from pipeline.domain.events.contract import Reading, Score

    if arrival is not None and arrival not in _ARRIVALS:
        fail(f"--arrival: {arrival!r} is not one of {', '.join(_ARRIVALS)}")
    conditions = list(dict.fromkeys(condition or ()))
    if wrong := [one for one in conditions if one not in _CONDITIONS]:
        fail(f"--condition: {wrong[0]!r} is not one of {', '.join(_CONDITIONS)}")
    _decide(item_id, Reading(arrival, complete, conditions, None if score is None else Score(score)))  # type: ignore[arg-type]


@app.command("case")
def case_command(
    item_id: ItemId,
    question: Annotated[
        bool, typer.Option("--question/--call", help="Whether it asks a question, or to be called.")
    ] = False,
) -> None:
    """Open a case for a reply that asks to be called, or asks a question."""
    from pipeline.app.administration.cases import open_case_for
    from pipeline.cli.session import open_store
    from pipeline.domain.access.principal import LOCAL
    from pipeline.settings import Settings
    from pipeline.store.db.engine import reading
    from pipeline.store.reads import inbox

    with open_store() as store:
        with reading(store.engine) as connection:
            item = inbox.read_item(connection, LOCAL, item_id)
        if item is None:
            fail(f"there is no reply {item_id!r} in the inbox")
        if item.order_id is None or item.contact_id is None:
            fail("this reply belongs to no order, so there is nobody to settle it with")
        case = open_case_for(Settings(), item.order_id, item.contact_id, "question" if question else "call")
    print(f"{case.case_id} is {case.state}.")


@app.command("respond")
def respond_command(
    item_id: ItemId,
    response: Annotated[str, typer.Argument(metavar="RESPONSE", help=f"One of: {', '.join(_RESPONSES)}.")],
) -> None:
    """Send a fixed response to the author of a reply, once for an order and a contact."""
    from pipeline.app.administration.inbox import NotSent, respond_to
    from pipeline.settings import Settings

    if response not in _RESPONSES:
        fail(f"RESPONSE: {response!r} is not one of {', '.join(_RESPONSES)}")
    try:
        send_at = respond_to(Settings(), item_id, response)  # type: ignore[arg-type]
    except NotSent as refused:
        fail(str(refused))
    print(f"It is sent from {send_at.isoformat(' ', 'minutes')} on.")


def _decide(item_id: str, given: "Reading | None") -> None:
    from pipeline.app.installation import now
    from pipeline.cli.session import open_store
    from pipeline.consumers.corrections import Refused, Unknown
    from pipeline.consumers.inbox import decisions
    from pipeline.domain.access.principal import LOCAL

    with open_store() as store:
        try:
            with store.engine.begin() as connection:
                outcome = decisions.decide(
                    connection, store, LOCAL, decisions.READER, item_id, given, "command line", now()
                )
        except (decisions.NotInInbox, decisions.NotWaiting):
            fail(f"no reply {item_id!r} waits in the inbox")
        except decisions.NoOrder:
            fail("this reply belongs to no order, so it can only be confirmed")
        except Unknown:
            fail("the order of this reply is not known yet")
        except Refused as refused:
            fail(str(refused))
    print(_BECAME[outcome])


_BECAME = {
    "counts": "Done.",
    "waits_for_second": "Proposed: it counts once a second user, without a stake in the order, has confirmed it.",
    "waits_seven_days": "Proposed: no user could confirm it, so it counts after seven days.",
}
