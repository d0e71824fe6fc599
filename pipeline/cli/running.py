"""What goes on until it is told to stop: everything, one role of a cluster, the demo."""

import sys
from functools import partial
from typing import TYPE_CHECKING, Annotated

import typer
from rich.console import Console

from pipeline.app.errors import complaints
from pipeline.app.installation import (
    DEMO_DAYS,
    Role,
    begin_demo,
    days_before_live,
    open_installation,
    play_demo,
)
from pipeline.cli.common import day, progress
from pipeline.cli.output import show_alerts, show_diagnosis, show_report
from pipeline.consumers.runtime.embedded import clock_of
from pipeline.demo.company import LEVELS as DEMO_LEVELS
from pipeline.demo.company import Company
from pipeline.demo.deliveries import FASTEST
from pipeline.domain.reports.diagnosis import diagnose
from pipeline.domain.reports.figures import figures_of
from pipeline.settings import Settings
from pipeline.store.db.engine import reading
from pipeline.store.reads import reports

if TYPE_CHECKING:
    from pipeline.app.serving import Addresses

app = typer.Typer()


@app.command("up")
def up_command() -> None:
    """Everything: events in, questions out, the dashboard. With a Kafka broker set, one process a role."""
    from pipeline.app import serving, supervisor

    with complaints():
        settings = Settings()
        if settings.clustered:
            supervisor.run_all(settings)
        else:
            serving.up(open_installation(settings, sending=True), settings, _show_addresses)


@app.command("run")
def run_command(
    role: Role,
    supervised: Annotated[bool, typer.Option("--supervised", hidden=True, help="end when stdin does")] = False,
) -> None:
    """One role of a cluster on Kafka and PostgreSQL, as many processes of each as are needed."""
    from pipeline.app import supervisor

    with complaints():
        supervisor.run(role, Settings(), _show_addresses, supervised)


def _show_addresses(found: "Addresses") -> None:
    print(f"Unvarnished is up. Ctrl-C stops it.\n  public    {found.public}\n  internal  {found.internal}")
    print(f"  sign in   {found.sign_in}", flush=True)
    if not found.keys:
        print("No API key opens the public listener yet: unvarnished keys create NAME", file=sys.stderr, flush=True)


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
    with complaints():
        settings = Settings()
        installation = open_installation(settings, DEMO_LEVELS, simulated=True)
        begun = begin_demo(installation, seed, day(start, "--start"), days)
        company = Company(begun.seed, begun.start)
        wanted = days or begun.days
        if not no_live:
            wanted = days_before_live(installation, company, wanted)
        with progress(Console(stderr=True), "Simulating") as advance:
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
            from pipeline.app import serving  # as for `up`

            serving.go_on(settings, company, pace, deliveries, partial(_show_live, pace))


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
