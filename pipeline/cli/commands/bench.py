"""Benchmarks on this machine."""

from pathlib import Path
from typing import Annotated

import typer

from pipeline.cli.options import Format, Output, print_json

app = typer.Typer(no_args_is_help=True, help="Measure throughput and latency on this machine.")


@app.command("embedded")
def bench_embedded(
    path: Annotated[
        Path | None, typer.Argument(help="Folder of an Olist history. Default: events of the demo's company.")
    ] = None,
    database_url: Annotated[
        list[str] | None, typer.Option(help="URL of an empty database to measure too. Can be repeated.")
    ] = None,
) -> None:
    """Measure events per second of embedded mode, where the time goes, and the ratio to the theoretical limit."""
    from rich.console import Console

    from pipeline.bench.embedded import embedded

    embedded(Console(), path, database_url or [])


@app.command("live")
def bench_live(
    requests: Annotated[int, typer.Option(min=1, help="Number of requests with one event.")] = 5_000,
    batches: Annotated[int, typer.Option(min=1, help="Number of requests with 500 events.")] = 100,
    seconds: Annotated[int, typer.Option(min=1, help="Seconds of deliveries at each rate.")] = 30,
) -> None:
    """Measure a running `unvarnished up`: stored events per second over HTTP, and the delay of questions."""
    from rich.console import Console

    from pipeline.bench import http_intake, question_delay

    http_intake.measure(Console(), requests, batches)
    question_delay.measure(Console(), seconds)


@app.command("notices")
def bench_notices(
    openings: Annotated[int, typer.Option(min=1, help="Number of incidents that open.")] = 1_000,
    rate: Annotated[int, typer.Option(min=1, help="Openings a second.")] = 20,
) -> None:
    """Measure the delay from the opening of an incident to Alertmanager and a webhook, under load."""
    from rich.console import Console

    from pipeline.bench import notices

    notices.measure(Console(), openings, rate)


@app.command("pages")
def bench_pages(
    orders: Annotated[int, typer.Option(min=1_000, help="Number of orders of the company.")] = 1_000_000,
    database_url: Annotated[
        str | None, typer.Option(help="URL of a PostgreSQL database: empty, or filled by this command before.")
    ] = None,
    folder: Annotated[
        Path | None, typer.Option(help="Folder of the SQLite file and the key. Default: one for each size, kept.")
    ] = None,
    rounds: Annotated[int, typer.Option(min=1, help="Readings of each page that count.")] = 20,
    page: Annotated[
        list[str] | None, typer.Option(help="Name of a page to read. Can be repeated. Default: all.")
    ] = None,
    readers: Annotated[
        int, typer.Option(min=0, help="People who read pages at random instead, while events arrive. 0: none.")
    ] = 0,
    rate: Annotated[int, typer.Option(min=1, help="With --readers: events a second.")] = 200,
    seconds: Annotated[int, typer.Option(min=10, help="With --readers: duration in seconds.")] = 60,
    output: Output = Format.TABLE,
) -> None:
    """Measure each page on the database of a large company, which is made once. Each is read right after an event."""
    import tempfile

    from rich.console import Console

    from pipeline.bench.pages import readers as people
    from pipeline.bench.pages import reading

    place = folder or Path(tempfile.gettempdir()) / f"unvarnished-bench-{orders}"
    if readers:
        load = people.Load(readers, rate, seconds)
        times = people.measure(orders, place, database_url, load)
        if output is Format.JSON:
            print_json([one._asdict() for one in times])
        else:
            people.show(Console(), times, load)
        return
    found = reading.measure(orders, place, database_url, rounds, page or ())
    if output is Format.JSON:
        print_json([measured._asdict() for measured in found])
    else:
        reading.show(Console(), found)


@app.command("start-up")
def bench_start_up(
    repeats: Annotated[int, typer.Option(min=1, help="Number of starts per command. The fastest one counts.")] = 5,
) -> None:
    """Measure the CPU time of starting the commands `--help`, `keys list --help` and `report`."""
    from rich.console import Console

    from pipeline.bench import start_up

    start_up.measure(Console(), repeats)
