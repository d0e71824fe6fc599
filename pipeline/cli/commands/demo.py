"""The demo: a simulated company."""

from typing import TYPE_CHECKING, Annotated

import typer

from pipeline.cli.options import parse_day

if TYPE_CHECKING:
    from pipeline.app.installation import Installation
    from pipeline.app.serving import Addresses

app = typer.Typer()


@app.command()
def demo(
    days: Annotated[
        int | None,
        typer.Option(
            min=1,
            max=3_650,
            help="Number of days to simulate. Default: 90; when started again, also the days that have passed since.",
        ),
    ] = None,
    seed: Annotated[int, typer.Option(help="Seed of the simulation. Another seed is another company.")] = 7,
    start: Annotated[
        str | None,
        typer.Option(metavar="DATE", help="First simulated day. Default: so that the last one is yesterday."),
    ] = None,
    no_live: Annotated[bool, typer.Option("--no-live", help="Exit after the simulated days and the report.")] = False,
    pace: Annotated[float, typer.Option(min=0.1, max=3_000, help="Live part: orders delivered per minute.")] = 12.0,
    deliveries: Annotated[
        int | None, typer.Option(min=0, help="Live part: number of orders to deliver in total. Default: no end.")
    ] = None,
) -> None:
    """Simulate a company, report which depots embellish and how, then continue live. Ctrl-C stops it.

    Data folder and ports: as for `unvarnished up`. All settings: docs/settings.md
    """
    from functools import partial

    from rich.console import Console

    from pipeline.app.installation import open_installation
    from pipeline.cli.session import progress_bar
    from pipeline.demo.company import LEVELS, Company
    from pipeline.demo.start import begin_demo, days_before_live, play_demo
    from pipeline.settings import Settings

    settings = Settings()
    installation = open_installation(settings, LEVELS, simulated=True)
    stored = begin_demo(installation, seed, parse_day(start, "--start"), days)
    company = Company(stored.seed, stored.start)
    wanted = days or stored.days
    if not no_live:
        wanted = days_before_live(installation, company, wanted)
    with progress_bar(Console(stderr=True), "Simulating") as advance:
        play_demo(installation, company, wanted, advance)
    _show_figures(installation)
    installation.store.engine.dispose()
    if not no_live:
        from pipeline.demo import live  # loads the web server

        live.run_live(settings, company, pace, deliveries, partial(_show_live, pace))


def _show_figures(installation: "Installation") -> None:
    from rich.console import Console

    from pipeline.cli.output import show_alerts, show_diagnosis, show_report
    from pipeline.domain.access.principal import LOCAL
    from pipeline.domain.reports.diagnosis import diagnose
    from pipeline.domain.reports.figures import figures_of
    from pipeline.store.db.engine import reading
    from pipeline.store.journal.state import clock_of
    from pipeline.store.reads import reports
    from pipeline.store.reads.alerts import alerts_as_of
    from pipeline.store.reads.baselines import newest_baselines

    console = Console()
    with reading(installation.store.engine) as connection:
        segments = reports.by_segment(connection, LOCAL, "depot")
        alerts = alerts_as_of(connection, LOCAL, clock_of(connection).date())
        figures = {value: figures_of(counts) for value, counts in segments.items()}
        show_report(
            console, figures_of(reports.total(connection, LOCAL)), "depot", figures, newest_baselines(connection, LOCAL)
        )
    show_alerts(console, alerts)
    show_diagnosis(console, "depot", diagnose("depot", segments, alerts))


def _show_live(pace: float, addresses: "Addresses") -> None:
    token = "" if addresses.token is None else f"\n  token      {addresses.token}"
    print(
        f"""
Live: {pace:g} deliveries per minute arrive by HTTP. Ctrl-C stops it; the next start continues from there.
  public     {addresses.public}
  internal   {addresses.internal}
  sign in    {addresses.sign_in}{token}
  phones     {addresses.internal}/phone (sign in first): answer a question and watch the dashboard change
The demo has no quiet hours or holidays, no rest between questions and no limit per account, unless you set them.""",
        flush=True,
    )
