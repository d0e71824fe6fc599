"""Measurements on this machine."""

from pathlib import Path
from typing import Annotated

import typer
from rich.console import Console

from pipeline.app.errors import complaints
from pipeline.bench import asks, door
from pipeline.bench.embedded import embedded

app = typer.Typer(no_args_is_help=True, help="Measure throughput on this machine.")


@app.command("embedded")
def bench_embedded(
    path: Annotated[Path | None, typer.Argument(help="an Olist history; without it the demo's company")] = None,
    database_url: Annotated[
        list[str] | None, typer.Option(help="an empty database to measure on, too (repeat for several)")
    ] = None,
) -> None:
    """Events a second through the whole embedded path, where the time goes, and the ratio to the limit."""
    with complaints():
        embedded(Console(), path, database_url or [])


@app.command("live")
def bench_live_command(
    requests: Annotated[int, typer.Option(min=1, help="requests of one event")] = 5_000,
    batches: Annotated[int, typer.Option(min=1, help="requests of 500 events")] = 100,
    seconds: Annotated[int, typer.Option(min=1, help="deliveries at each rate, for so long")] = 30,
) -> None:
    """Durable events a second by HTTP, and how soon a delivery is asked about, against a real `unvarnished up`."""
    with complaints():
        door.measure(Console(), requests, batches)
        asks.measure(Console(), seconds)
