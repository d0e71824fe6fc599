"""What is to be read: reports, alerts, and what to expect of them."""

from typing import Annotated

import typer
from rich.console import Console

from pipeline.app.errors import complaints, fail
from pipeline.cli.common import Format, Output, database, day, print_json
from pipeline.cli.output import show_alerts, show_report
from pipeline.consumers.runtime.embedded import clock_of
from pipeline.domain.detection.baseline import DELTA0
from pipeline.domain.reports.figures import figures_of
from pipeline.simulation import detection
from pipeline.store.reads import reports

app = typer.Typer()


@app.command()
def report(
    by: Annotated[str | None, typer.Option(metavar="DIMENSION", help="one row per value of this level")] = None,
    first: Annotated[str | None, typer.Option("--from", metavar="DATE", help="first day of completion")] = None,
    last: Annotated[str | None, typer.Option("--to", metavar="DATE", help="last day of completion")] = None,
    output: Output = Format.TABLE,
) -> None:
    """Claimed beside experienced, with intervals and coverage."""
    with complaints(), database() as connection:
        days = (day(first, "--from"), day(last, "--to"))
        known = reports.dimensions(connection)
        if by is not None and by not in known:
            fail(f"no level {by!r} is counted here; there are: {', '.join(known) or 'none yet'}")
        bounds = [None if day is None else day.toordinal() for day in days]
        fleet = reports.total(connection, *bounds)
        segments = reports.by_segment(connection, by, *bounds) if by is not None else {}
        if output is Format.JSON:
            print_json(reports.report_json(fleet, segments))
            return
        each = {value: figures_of(counts) for value, counts in segments.items()}
        show_report(Console(), figures_of(fleet), by, each, reports.nulls(connection), days)


@app.command("alerts")
def alerts_command(output: Output = Format.TABLE) -> None:
    """Where the claim is shown no longer to hold, with the evidence, oldest first."""
    with complaints(), database() as connection:
        found = reports.alerts(connection, clock_of(connection).date())
        if output is Format.JSON:
            print_json(reports.alerts_json(found))
        else:
            show_alerts(Console(), found)


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
    with complaints():
        result = detection.run(
            segments=segments, days=days, seeds=seeds, pairs_per_day=pairs_per_day, budget=budget, null=null
        )
    detection.render(result)
