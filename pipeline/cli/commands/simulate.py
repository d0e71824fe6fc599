"""The simulation of the detector."""

from typing import Annotated

import typer

app = typer.Typer()


@app.command("simulate")
@app.command("lab", hidden=True)
def simulate_command(
    segments: Annotated[
        int, typer.Option(min=1, help="Number of honest segments, each exactly at the tolerance.")
    ] = 200,
    days: Annotated[int, typer.Option(min=1, help="Number of simulated days.")] = 365,
    seeds: Annotated[int, typer.Option(min=1, help="Number of simulated companies.")] = 5,
    pairs_per_day: Annotated[
        float, typer.Option(min=0.001, help="Answers per segment and day about orders that were claimed on time.")
    ] = 3.0,
    budget: Annotated[
        float, typer.Option(min=0.001, help="Acceptable number of false alerts per year, all segments together.")
    ] = 1.0,
    null: Annotated[
        float | None,
        typer.Option(
            min=0.001,
            max=0.999,
            help="Tolerance: share of wrong answers, 0 to 1, that honest mistakes explain. Default: the detector's.",
        ),
    ] = None,
) -> None:
    """Measure false alarms and detection delays of the detector at your volumes, compared with a simple rule."""
    from pipeline.domain.detection.baseline import DELTA0
    from pipeline.simulation import detection

    result = detection.run(
        segments=segments,
        days=days,
        seeds=seeds,
        pairs_per_day=pairs_per_day,
        budget=budget,
        null=DELTA0 if null is None else null,
    )
    detection.render(result)
