"""The `unvarnished` command."""

import gc
import json
import sys
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from datetime import date
from enum import StrEnum
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, NoReturn

import typer
from pydantic import ValidationError
from rich.console import Console
from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn, TimeElapsedColumn, TimeRemainingColumn
from sqlalchemy import Connection, Engine
from sqlalchemy.exc import SQLAlchemyError

from pipeline import lab
from pipeline.app import (
    DEMO_DAYS,
    Ended,
    Role,
    WrongSetup,
    begin_demo,
    create_key,
    days_before_live,
    open_database,
    open_installation,
    play_demo,
    replay_history,
    retry_dead_letters,
    revoke_key,
)
from pipeline.bench import asks, door
from pipeline.bench.embedded import embedded
from pipeline.consumers.kafka_io import BrokerTrouble
from pipeline.consumers.runner import clock_of
from pipeline.consumers.topics import Outcome, create
from pipeline.demo.company import LEVELS as DEMO_LEVELS
from pipeline.demo.company import Company
from pipeline.demo.deliveries import FASTEST
from pipeline.doctor import examine
from pipeline.domain.diagnosis import diagnose
from pipeline.domain.divergence import DELTA0
from pipeline.domain.figures import figures_of
from pipeline.settings import Settings, Unusable
from pipeline.sources.olist import LEVELS as OLIST_LEVELS
from pipeline.sources.olist import OlistHistory
from pipeline.sources.table import UnreadableSource
from pipeline.store import api_keys, reports
from pipeline.store.engine import migrate, reading
from pipeline.terminal import show_alerts, show_dead_letters, show_diagnosis, show_report
from pipeline.terminal.checks import show_checks
from pipeline.terminal.keys import show_keys
from pipeline.terminal.topics import show_topics

if TYPE_CHECKING:
    from pipeline.live import Addresses

app = typer.Typer(no_args_is_help=True, add_completion=False, pretty_exceptions_enable=False)
dead_letters = typer.Typer(no_args_is_help=True, help="Events nobody could process.")
topics = typer.Typer(no_args_is_help=True, help="The topics of a Kafka cluster.")
keys = typer.Typer(no_args_is_help=True, help="API keys of the systems that send events.")
benches = typer.Typer(no_args_is_help=True, help="Measure throughput on this machine.")
app.add_typer(dead_letters, name="dead-letters")
app.add_typer(keys, name="keys")
app.add_typer(topics, name="topics")
app.add_typer(benches, name="bench")


class Source(StrEnum):
    """A history that can be replayed."""

    OLIST = "olist"


class Format(StrEnum):
    """How figures are printed."""

    TABLE = "table"
    JSON = "json"


Output = Annotated[Format, typer.Option("--format", help="table for people, json for programs")]
Day = Annotated[str | None, typer.Option(metavar="DATE", help="as in 2026-11-20")]


@app.command("up")
def up_command() -> None:
    """Everything: events in, questions out, the dashboard. With a Kafka broker set, one process a role."""
    from pipeline import live, roles  # the libraries of the web take a while to load: only who serves it waits

    with _complaints():
        settings = Settings()
        if settings.clustered:
            roles.run_all(settings)
        else:
            live.up(open_installation(settings, sending=True), settings, _show_addresses)


@app.command("run")
def run_command(role: Role) -> None:
    """One role of a cluster on Kafka and PostgreSQL, as many processes of each as are needed."""
    from pipeline import roles

    with _complaints():
        roles.run(role, Settings(), _show_addresses, lambda address: print(f"{role}: {address}", flush=True))


def _show_addresses(found: "Addresses") -> None:
    print(f"Unvarnished is up. Ctrl-C stops it.\n  public    {found.public}\n  internal  {found.internal}")
    print(f"  sign in   {found.sign_in}", flush=True)
    if not found.keys:
        print("No API key opens the public listener yet: unvarnished keys create NAME", file=sys.stderr, flush=True)


@keys.command("create")
def create_key_command(
    name: Annotated[str, typer.Argument(help="the system that will hold it, as in erp-lyon")],
    history: Annotated[bool, typer.Option("--history", help="it may send events of the past, too")] = False,
) -> None:
    """Make a key and print it: the only time, only its hash is kept."""
    with _complaints(), _engine() as engine:
        print(create_key(engine, name, history))


@keys.command("list")
def list_keys_command(output: Output = Format.TABLE) -> None:
    """Every key there is or was, oldest first."""
    with _complaints(), _database() as connection:
        found = api_keys.listed(connection)
    if output is Format.JSON:
        shown = ("name", "history", "created_at", "revoked_at")
        _print_json([{field: getattr(key, field) for field in shown} for key in found])
    else:
        show_keys(Console(), found)


@keys.command("revoke")
def revoke_key_command(name: Annotated[str, typer.Argument(help="as `keys list` shows it")]) -> None:
    """End a key. It stops working within a second."""
    with _complaints(), _engine() as engine:
        revoke_key(engine, name)


@app.command("doctor")
def doctor_command(output: Output = Format.TABLE) -> None:
    """What is wrong with this installation, and what to do about it. Changes nothing."""
    with _complaints():
        checks = examine(Settings())
    if output is Format.JSON:
        _print_json([check._asdict() for check in checks])
    else:
        show_checks(Console(), checks)
    if any(check.wrong for check in checks):
        raise typer.Exit(1)


@app.command("migrate")
def migrate_command() -> None:
    """Bring the database's schema to this version."""
    with _complaints():
        migrate(Settings().url)


@app.command()
def replay(source: Source, path: Annotated[Path, typer.Argument(help="folder of the history's files")]) -> None:
    """Take real history through the same processors. A second time changes nothing."""
    console = Console(stderr=True)
    with _complaints():
        history = OlistHistory(path)
        installation = open_installation(Settings(), OLIST_LEVELS)
        with _progress(console, f"Replaying {source}") as advance:
            totals = replay_history(installation, history, lambda done: advance(done, len(history)))
    console.print(f"{totals.new} new events, {totals.duplicates} known already, {totals.dead} dead letters.")
    if totals.dead:
        console.print("What could not be read: unvarnished dead-letters list")


@app.command()
def report(
    by: Annotated[str | None, typer.Option(metavar="DIMENSION", help="one row per value of this level")] = None,
    first: Annotated[str | None, typer.Option("--from", metavar="DATE", help="first day of completion")] = None,
    last: Annotated[str | None, typer.Option("--to", metavar="DATE", help="last day of completion")] = None,
    output: Output = Format.TABLE,
) -> None:
    """Claimed beside experienced, with intervals and coverage."""
    with _complaints(), _database() as connection:
        days = (_day(first, "--from"), _day(last, "--to"))
        known = reports.dimensions(connection)
        if by is not None and by not in known:
            _fail(f"no level {by!r} is counted here; there are: {', '.join(known) or 'none yet'}")
        bounds = [None if day is None else day.toordinal() for day in days]
        fleet = reports.total(connection, *bounds)
        segments = reports.by_segment(connection, by, *bounds) if by is not None else {}
        if output is Format.JSON:
            _print_json(reports.report_json(fleet, segments))
            return
        each = {value: figures_of(counts) for value, counts in segments.items()}
        show_report(Console(), figures_of(fleet), by, each, reports.nulls(connection), days)


@app.command("alerts")
def alerts_command(output: Output = Format.TABLE) -> None:
    """Where the claim is shown no longer to hold, with the evidence, oldest first."""
    with _complaints(), _database() as connection:
        found = reports.alerts(connection, clock_of(connection).date())
        if output is Format.JSON:
            _print_json(reports.alerts_json(found))
        else:
            show_alerts(Console(), found)


@app.command()
def demo(
    days: Annotated[
        int | None,
        typer.Option(min=1, max=3_650, help=f"simulated days; by default {DEMO_DAYS}, and those gone by since"),
    ] = None,
    seed: Annotated[int, typer.Option(help="another seed is another company")] = 7,
    start: Annotated[
        str | None, typer.Option(metavar="DATE", help="first simulated day; by default the last one is yesterday")
    ] = None,
    no_live: Annotated[bool, typer.Option("--no-live", help="end after these days, with the report")] = False,
    pace: Annotated[float, typer.Option(min=0.1, max=FASTEST, help="live: orders delivered a minute")] = 12.0,
    deliveries: Annotated[
        int | None, typer.Option(min=0, help="live: orders to deliver in all; by default without end")
    ] = None,
) -> None:
    """A simulated company: its days, who embellishes and how; then it goes on live. Ctrl-C stops it."""
    console = Console()
    with _complaints():
        settings = Settings()
        installation = open_installation(settings, DEMO_LEVELS, simulated=True)
        begun = begin_demo(installation, seed, _day(start, "--start"), days)
        company = Company(begun.seed, begun.start)
        wanted = days or begun.days
        if not no_live:
            wanted = days_before_live(installation, company, wanted)
        with _progress(Console(stderr=True), "Simulating") as advance:
            play_demo(installation, company, wanted, advance)
        with reading(installation.engine) as connection:
            segments = reports.by_segment(connection, "depot")
            found = reports.alerts(connection, clock_of(connection).date())
            each = {value: figures_of(counts) for value, counts in segments.items()}
            show_report(console, figures_of(reports.total(connection)), "depot", each, reports.nulls(connection))
        show_alerts(console, found)
        show_diagnosis(console, "depot", diagnose("depot", segments, found))
        installation.engine.dispose()
        if not no_live:
            from pipeline import live  # as for `up`

            live.go_on(settings, company, pace, deliveries, partial(_show_live, pace))


def _show_live(pace: float, found: "Addresses") -> None:
    print(
        f"""
Live: {pace:g} deliveries a minute come in by HTTP. Ctrl-C stops it; started again it goes on.
  public     {found.public}
  internal   {found.internal}
  sign in    {found.sign_in}
  phones     {found.internal}/phone, once signed in: answer one and see the dashboard move
Unless UNVARNISHED_... says otherwise, no hours are quiet here, nobody gets a rest and no account has a limit.""",
        flush=True,
    )


@app.command("lab")
def lab_command(
    segments: Annotated[int, typer.Option(min=1, help="honest segments at exactly the null")] = 200,
    days: Annotated[int, typer.Option(min=1, help="simulated days")] = 365,
    seeds: Annotated[int, typer.Option(min=1, help="simulated fleets")] = 5,
    pairs_per_day: Annotated[
        float, typer.Option(min=0.001, help="answers about orders claimed well, per segment and day")
    ] = 3.0,
    budget: Annotated[float, typer.Option(min=0.001, help="false alerts a year the fleet can bear")] = 1.0,
    null: Annotated[float, typer.Option(min=0.001, max=0.999, help="what counts as honest, 0 to 1")] = DELTA0,
) -> None:
    """False alarms and delays at your own volumes, beside the rule most dashboards use."""
    with _complaints():
        result = lab.run(
            segments=segments, days=days, seeds=seeds, pairs_per_day=pairs_per_day, budget=budget, null=null
        )
    lab.render(result)


@dead_letters.command("list")
def list_dead_letters(output: Output = Format.TABLE) -> None:
    """What could not be read, where it was and why, oldest first. Its content stays sealed."""
    with _complaints(), _database() as connection:
        found = reports.dead_letters(connection)
        if output is Format.JSON:
            _print_json([letter._asdict() for letter in found])
        else:
            show_dead_letters(Console(), found)


@dead_letters.command("retry")
def retry_dead_letters_command(output: Output = Format.TABLE) -> None:
    """Take them in once more, as if they came now. Those that fail again stay."""
    with _complaints():
        taken = retry_dead_letters(Settings())
    if output is Format.JSON:
        _print_json(taken._asdict())
    else:
        print(f"{taken.new} taken in, {taken.duplicates} were known already, {taken.dead} failed again and stay.")


@topics.command("create")
def create_topics(output: Output = Format.TABLE) -> None:
    """Make those that are missing, and tell what differs about the others. They are left as they are."""
    with _complaints():
        outcomes = create(Settings())
    if output is Format.JSON:
        _print_json([_topic_json(outcome) for outcome in outcomes])
    else:
        show_topics(Console(), outcomes)


def _topic_json(outcome: Outcome) -> dict[str, object]:
    return outcome._asdict() | {"differences": [difference._asdict() for difference in outcome.differences]}


@benches.command("embedded")
def bench_embedded(
    path: Annotated[Path | None, typer.Argument(help="an Olist history; without it the demo's company")] = None,
    database_url: Annotated[
        list[str] | None, typer.Option(help="an empty database to measure on, too (repeat for several)")
    ] = None,
) -> None:
    """Events a second through the whole embedded path, where the time goes, and the ratio to the limit."""
    with _complaints():
        embedded(Console(), path, database_url or [])


@benches.command("live")
def bench_live_command(
    requests: Annotated[int, typer.Option(min=1, help="requests of one event")] = 5_000,
    batches: Annotated[int, typer.Option(min=1, help="requests of 500 events")] = 100,
    seconds: Annotated[int, typer.Option(min=1, help="deliveries at each rate, for so long")] = 30,
) -> None:
    """Durable events a second by HTTP, and how soon a delivery is asked about, against a real `unvarnished up`."""
    with _complaints():
        door.measure(Console(), requests, batches)
        asks.measure(Console(), seconds)


def main() -> None:
    """Entry point of the command."""
    # A batch is thousands of small trees without a cycle: looking for cycles after every 700 of them costs a tenth.
    gc.set_threshold(100_000, 50, 100)
    app()


@contextmanager
def _engine() -> Iterator[Engine]:
    engine = open_database(Settings())
    try:
        yield engine
    finally:
        engine.dispose()


@contextmanager
def _database() -> Iterator[Connection]:
    with _engine() as engine, reading(engine) as connection:
        yield connection


@contextmanager
def _progress(console: Console, what: str) -> Iterator[Callable[[int, int], None]]:
    columns = (TextColumn(what), BarColumn(), MofNCompleteColumn(), TimeElapsedColumn(), TimeRemainingColumn())
    with Progress(*columns, console=console, transient=not console.is_terminal) as progress:
        task = progress.add_task(what, total=None)
        yield lambda done, total: progress.update(task, completed=done, total=total)


@contextmanager
def _complaints() -> Iterator[None]:
    """What a user can mend is one sentence on stderr, without a traceback."""
    try:
        yield
    except ValidationError as error:
        for problem in error.errors():
            name = "_".join(str(part) for part in problem["loc"]).upper()
            where = f"UNVARNISHED_{name}: " if name else ""  # what concerns several names them itself
            print(f"unvarnished: {where}{problem['msg']}", file=sys.stderr)
        raise typer.Exit(2) from None
    except (WrongSetup, UnreadableSource, Unusable, BrokerTrouble) as error:
        _fail(str(error))
    except Ended as error:
        print(f"unvarnished: {error}", file=sys.stderr)
        raise typer.Exit(1) from None
    except SQLAlchemyError as error:
        cause = getattr(error, "orig", None) or error
        _fail(f"the database says: {str(cause).splitlines()[0]}")


def _fail(message: str) -> NoReturn:
    print(f"unvarnished: {message}", file=sys.stderr)
    raise typer.Exit(2)


def _day(text: str | None, option: str) -> date | None:
    if text is None:
        return None
    try:
        return date.fromisoformat(text)
    except ValueError:
        _fail(f"{option}: {text!r} is not a date as in 2026-11-20")


def _print_json(value: object) -> None:
    print(json.dumps(value, indent=2, ensure_ascii=False, default=str))
