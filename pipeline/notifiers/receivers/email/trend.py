"""The trend of an incident as an image: the rates at opening and now with their intervals, and the baseline."""

from io import BytesIO

from pipeline.domain.events.incidents import IncidentChanged, Rate

_SIZE = (4.8, 2.4)  # inches
_DPI = 100


def trend_image(data: IncidentChanged) -> bytes | None:
    """A PNG; None: the incident has no rate."""
    points = _points(data)
    if not points:
        return None
    from matplotlib.figure import Figure  # loading it takes half a second

    figure = Figure(figsize=_SIZE, dpi=_DPI, layout="constrained")
    axes = figure.subplots()
    places = range(len(points))
    values = [100 * rate.value for _, rate in points]
    below = [100 * max(rate.value - rate.low, 0) for _, rate in points]
    above = [100 * max(rate.high - rate.value, 0) for _, rate in points]
    axes.errorbar(places, values, yerr=[below, above], fmt="o", capsize=4, color="#9c2a2a")
    null = data.then.null if data.now is None or data.now.null is None else data.now.null
    if null is not None:
        axes.axhline(100 * null, linestyle="--", color="#555555", label="honest")
        axes.legend(loc="upper right", frameon=False)
    axes.set_xticks(list(places), [label for label, _ in points])
    axes.set_xlim(-0.5, len(points) - 0.5)
    axes.set_ylim(bottom=0)
    axes.set_ylabel("%")
    file = BytesIO()
    figure.savefig(file, format="png")
    return file.getvalue()


def _points(data: IncidentChanged) -> list[tuple[str, Rate]]:
    now = data.now
    found = [
        ("at opening", data.then.rate),
        ("last 30 days", now.last_30_days if now else None),
        ("last 14 days", now.last_14_days if now else None),
    ]
    return [(label, rate) for label, rate in found if rate is not None]
