"""Claimed and experienced performance over time: a small line in a table, and the chart of a segment's page.

What is claimed is dashed with squares, what is experienced is solid with dots, so both are told apart without colours.
"""

from collections.abc import Sequence
from datetime import date
from functools import lru_cache
from typing import TYPE_CHECKING, NamedTuple

from markupsafe import Markup

from pipeline.domain.reports.periods.trends import Shares
from pipeline.domain.reports.ranking import Axis
from pipeline.web.internal.drawing import svg

if TYPE_CHECKING:
    from matplotlib.artist import Artist

_SMALL = (120, 28)  # units of the SVG, about pixels
_WIDE, _NARROW = (760, 240), (330, 220)
_LEFT, _RIGHT, _TOP, _BOTTOM = 40, 12, 10, 24  # around the chart: labels
_RUN = 2  # points that make a line


class Shown(NamedTuple):
    """One point of the chart. `low` and `high`: ends of the experience's range; None: not shown."""

    label: str
    claimed: float | None
    experienced: float | None = None
    low: float | None = None
    high: float | None = None


@lru_cache(maxsize=8_192)
def sparkline(shares: tuple[Shares, ...], axis: Axis, title: str) -> Markup:
    """The shares of successive weeks as two lines."""
    from matplotlib.lines import Line2D

    width, height = _SMALL
    step = (width - 6) / max(len(shares) - 1, 1)
    artists: list[Artist] = []
    for name in ("claimed", "experienced"):
        values = [getattr(share, name) for share in shares]
        for run in _runs(values):
            xs = [3 + step * index for index in run]
            ys = [_scaled(values[index], axis, 3, height - 3) for index in run]
            artists.append(Line2D(xs, ys, gid=name))
    return svg(artists, width, height, title, "spark")


@lru_cache(maxsize=512)
def chart(points: tuple[Shown, ...], axis: Axis, opened: tuple[int, ...], title: str, *, narrow: bool) -> Markup:
    """The chart of a segment. `opened`: the indexes of the points in which an incident opened."""
    from matplotlib.lines import Line2D
    from matplotlib.patches import Circle, Polygon, Rectangle
    from matplotlib.text import Text

    width, height = _NARROW if narrow else _WIDE
    bottom, top = _BOTTOM, height - _TOP
    step = (width - _LEFT - _RIGHT) / max(len(points) - 1, 1)
    xs = [_LEFT + step * index for index in range(len(points))]
    artists: list[Artist] = []

    def y(value: float) -> float:
        return _scaled(value, axis, bottom, top)

    for tick in _ticks(axis):
        artists.append(Line2D((_LEFT, width - _RIGHT), (y(tick), y(tick)), gid="grid"))
        artists.append(Text(_LEFT - 6, y(tick) - 4, f"{100 * tick:.0f}%", ha="right", fontsize=12, gid="tick"))
    every = -(-len(points) // (5 if narrow else 13))
    for index in range(len(points) - 1, -1, -every):
        side = "right" if index == len(points) - 1 else "center"
        artists.append(Text(xs[index], 4, points[index].label, ha=side, fontsize=12, gid="tick"))
    artists.extend(Line2D((xs[index], xs[index]), (bottom, top), gid="opened") for index in opened)
    for run in _runs([point.low for point in points]):
        edge = [(xs[index], y(points[index].low or 0)) for index in run]
        edge += [(xs[index], y(points[index].high or 0)) for index in reversed(run)]
        artists.append(Polygon(edge, gid="band"))
    for run in _runs([point.claimed for point in points]):
        artists.append(Line2D([xs[i] for i in run], [y(points[i].claimed or 0) for i in run], gid="claimed"))
    for run in _runs([point.experienced for point in points]):
        artists.append(Line2D([xs[i] for i in run], [y(points[i].experienced or 0) for i in run], gid="experienced"))
    for x, point in zip(xs, points, strict=True):
        if point.claimed is not None:
            artists.append(Rectangle((x - 3.5, y(point.claimed) - 3.5), 7, 7, gid="claimed-mark"))
        if point.experienced is not None:
            artists.append(Circle((x, y(point.experienced)), 3.5, gid="experienced-mark"))
    return svg(artists, width, height, title, "trend trend-narrow" if narrow else "trend trend-wide")


def month_label(day: int) -> str:
    """ "Mar 26", for the first day of a month."""
    found = date.fromordinal(day)
    return f"{_MONTHS[found.month - 1]} {found.year % 100:02}"


def week_label(day: int) -> str:
    """ "2 Mar", for the Monday of a week."""
    found = date.fromordinal(day)
    return f"{found.day} {_MONTHS[found.month - 1]}"


_MONTHS = ("Jan", "Feb", "Mar", "Apr", "May", "Jun", "Jul", "Aug", "Sep", "Oct", "Nov", "Dec")


def _runs(values: Sequence[float | None]) -> list[list[int]]:
    """The indexes of values that follow each other without a gap, where there are enough for a line."""
    runs: list[list[int]] = [[]]
    for index, value in enumerate(values):
        if value is None:
            runs.append([])
        else:
            runs[-1].append(index)
    return [run for run in runs if len(run) >= _RUN]


def _scaled(value: float, axis: Axis, bottom: float, top: float) -> float:
    low, high = axis
    return bottom + (min(max(value, low), high) - low) / (high - low) * (top - bottom)


def _ticks(axis: Axis) -> list[float]:
    low, high = axis
    step = next((step for step in (0.01, 0.02, 0.05, 0.1, 0.2) if (high - low) / step <= 6.01), 0.25)
    first = round(low / step + 0.499)
    return [n * step for n in range(first, int(high / step + 1e-6) + 1)]
