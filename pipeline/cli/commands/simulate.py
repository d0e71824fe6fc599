"""The simulation of the detector."""

from pathlib import Path
from typing import Annotated

import typer

from pipeline.app.errors import fail

app = typer.Typer()


@app.command("simulate")
@app.command("lab", hidden=True)
def simulate_command(
    segments: Annotated[int, typer.Option(min=1, help="Number of depots, or of other segments.")] = 20,
    days: Annotated[int, typer.Option(min=1, help="Simulated days of segments exactly at the tolerance.")] = 365,
    seeds: Annotated[int, typer.Option(min=1, help="Simulated companies of segments exactly at the tolerance.")] = 5,
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
    fleets: Annotated[int, typer.Option(min=1, help="Simulated fleets of each honest kind, for a year each.")] = 4,
    repeats: Annotated[int, typer.Option(min=1, help="Simulated segments for each fault.")] = 100,
    plot: Annotated[
        Path | None, typer.Option(metavar="FILE", help="Also draw the comparison: a .png or an .svg file.")
    ] = None,
) -> None:
    """Measure false alarms, delays and false resolutions at your volumes, compared with simple rules.

    Nothing of your data is read: the fleets are simulated, and the same arguments give the same figures.
    """
    from pipeline.domain.detection.baseline import DELTA0
    from pipeline.simulation import comparison, detection

    if plot is not None and plot.suffix.lower() not in comparison.FORMATS:
        fail(f"--plot: {plot.name!r} does not end in {' or '.join(comparison.FORMATS)}")
    result = detection.run(
        segments=segments,
        days=days,
        seeds=seeds,
        pairs_per_day=pairs_per_day,
        budget=budget,
        null=DELTA0 if null is None else null,
        hidden=(),
    )
    detection.render(result)
    compared = comparison.compare(depots=segments, answers=pairs_per_day, budget=budget, fleets=fleets, repeats=repeats)
    comparison.render(compared)
    if plot is not None:
        try:
            comparison.plot(compared, plot)
        except OSError as error:
            fail(f"--plot: cannot write {str(plot)!r}: {error.strerror}")
        print(f"Drawn: {plot}")
