"""Commands about figures: the report, also as an e-mail, the alerts and the incidents."""

from typing import Annotated

import typer

from pipeline.app.errors import fail
from pipeline.cli.options import Format, Output, parse_day, print_json

app = typer.Typer()


@app.command()
def report(
    by: Annotated[
        str | None, typer.Option(metavar="DIMENSION", help="Print one row for each value of this segment level.")
    ] = None,
    first: Annotated[
        str | None, typer.Option("--from", metavar="DATE", help="First completion date to include.")
    ] = None,
    last: Annotated[str | None, typer.Option("--to", metavar="DATE", help="Last completion date to include.")] = None,
    output: Output = Format.TABLE,
) -> None:
    """Compare claimed and experienced performance, with confidence intervals and coverage."""
    from rich.console import Console

    from pipeline.app.installation import history_of
    from pipeline.cli.output.access.person import show_pending
    from pipeline.cli.output.access.users import show_waiting
    from pipeline.cli.output.report import show_report
    from pipeline.cli.session import read_database
    from pipeline.domain.access.principal import LOCAL
    from pipeline.domain.reports.contract import report_json
    from pipeline.domain.reports.figures import figures_of
    from pipeline.store.acts.corrections import waiting
    from pipeline.store.people import erasure
    from pipeline.store.reads import reports
    from pipeline.store.reads.baselines import newest_baselines

    with read_database() as connection:
        period = (parse_day(first, "--from"), parse_day(last, "--to"))
        stored = history_of(connection)
        known = reports.dimensions(connection, LOCAL)
        if stored is not None:
            known = [level.name for level in stored[0].watched]
        if by is not None and by not in known:
            fail(
                f"--by: {by!r} is not a segment level of this database; its levels: "
                f"{', '.join(known) or 'none yet'}; to add one: unvarnished levels add DIMENSION:CAPACITY"
            )
        bounds = [None if day is None else day.toordinal() for day in period]
        fleet = reports.total(connection, LOCAL, *bounds)
        segments = reports.by_segment(connection, LOCAL, by, *bounds) if by is not None else {}
        if output is Format.JSON:
            print_json(report_json(fleet, segments))
            return
        figures = {value: figures_of(counts) for value, counts in segments.items()}
        console = Console()
        show_report(console, figures_of(fleet), by, figures, newest_baselines(connection, LOCAL), period)
        show_pending(console, erasure.pending(connection))
        show_waiting(console, waiting(connection, LOCAL))


@app.command("alerts")
def alerts_command(output: Output = Format.TABLE) -> None:
    """List the segments whose customers contradict the claims, with the evidence, oldest first."""
    from rich.console import Console

    from pipeline.cli.output.alert_text import show_alerts
    from pipeline.cli.session import read_database
    from pipeline.domain.access.principal import LOCAL
    from pipeline.domain.reports.contract import alerts_json
    from pipeline.store.journal.state import clock_of
    from pipeline.store.reads.alerts import alerts_as_of

    with read_database() as connection:
        alerts = alerts_as_of(connection, LOCAL, clock_of(connection).date())
        if output is Format.JSON:
            print_json(alerts_json(alerts))
        else:
            show_alerts(Console(), alerts)


@app.command("incidents")
def incidents_command(output: Output = Format.TABLE) -> None:
    """List the incidents: one cause each, those that affect most orders first, then those that ended."""
    import msgspec
    from rich.console import Console

    from pipeline.cli.output.incidents import show_incidents
    from pipeline.cli.session import read_database
    from pipeline.domain.access.principal import LOCAL
    from pipeline.domain.reports.incidents import incident_of
    from pipeline.store.reads import incidents

    with read_database() as connection:
        going_on, ended = incidents.going_on(connection, LOCAL), incidents.ended(connection, LOCAL)
    if output is Format.JSON:
        print_json([msgspec.to_builtins(incident_of(each)) for each in (*going_on, *ended)])
    else:
        show_incidents(Console(), going_on, ended)


@app.command("digest")
def digest_command(
    preview: Annotated[bool, typer.Option("--preview", help="Print the report, and send nothing.")] = False,
    send: Annotated[bool, typer.Option("--send", help="Send it to those recipients who have not had it.")] = False,
    user: Annotated[
        str | None,
        typer.Option(help="One recipient. With --preview any user; default: a reader who sees everything."),
    ] = None,
    of: Annotated[
        str | None, typer.Option("--of", metavar="DATE", help="With --preview: of the week that contains this day.")
    ] = None,
    html: Annotated[bool, typer.Option("--html", help="With --preview: print the HTML instead of the text.")] = False,
) -> None:
    """Preview or send the report of the last week by e-mail. Each recipient gets what they may see, once a week."""
    from pipeline.app.administration.digest import Digests
    from pipeline.app.installation import now, open_as_started
    from pipeline.cli.session import record_command
    from pipeline.domain.access.principal import LOCAL
    from pipeline.domain.reports.periods.calendar import period_of
    from pipeline.settings import Settings

    if preview == send:
        fail("digest: give either --preview or --send")
    settings = Settings()
    installation = open_as_started(settings)
    try:
        record_command(installation.store.engine)
        digests = Digests(installation.store, installation.setup, settings)
        if send:
            results = digests.send(now(), user)
            for result in results:
                print(f"{result.user}: {result.state}{f' ({result.why})' if result.why else ''}")
            if any(result.state in ("refused", "unknown", "later") for result in results):
                raise typer.Exit(1)
            return
        reader = LOCAL if user is None else digests.reader(user)
        if isinstance(reader, str):
            fail(f"--user: {user!r}: {reader}")
        day = parse_day(of, "--of")
        period = digests.period(now()) if day is None else period_of("week", day)
        written = digests.written(reader, period, now())
        print(written.html if html else f"Subject: {written.subject}\n\n{written.text}")
    finally:
        installation.store.engine.dispose()
