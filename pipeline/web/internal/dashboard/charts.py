"""The dumbbell chart: one strip of SVG per row with the claim, the experience and its range. CSS sets the colours.

Matplotlib draws the strips without names or figures. Those are text in the table, so that screen readers read them and
they neither shrink nor overflow on a phone. A strip depends on its figures alone, so drawn strips are cached.
"""

import math
from functools import lru_cache
from typing import TYPE_CHECKING

from markupsafe import Markup

from pipeline.domain.reports.ranking import Axis, Mark
from pipeline.web.internal.drawing import svg

if TYPE_CHECKING:
    from matplotlib.artist import Artist

WIDTH, HEIGHT = 320, 32  # units of the SVG; shown between 300 and 450 pixels wide, so one is about a pixel
_INSET = 9  # room for a mark at the end of the axis


@lru_cache(maxsize=4_096)
def strip(mark: Mark, axis: Axis, title: str) -> Markup:
    """One row: the claim as a square, the experience as a dot on its range, joined. `title` is the text alternative."""
    from matplotlib.lines import Line2D
    from matplotlib.patches import Circle, Polygon, Rectangle

    middle = HEIGHT / 2
    artists: list[Artist] = []

    def line(x0: float, y0: float, x1: float, y1: float, name: str) -> None:
        artists.append(Line2D((x0, x1), (y0, y1), gid=name))

    for tick in _ticks(axis):
        line(_x(tick, axis), 0, _x(tick, axis), HEIGHT, "grid")
    if mark.claimed is not None and mark.experienced is not None:
        line(_x(mark.claimed, axis), middle, _x(mark.experienced, axis), middle, "join")
    if mark.low is not None and mark.high is not None:
        line(_x(mark.low, axis), middle, _x(mark.high, axis), middle, "range")
        for end, cut, way in ((mark.low, mark.low < axis[0], -1), (mark.high, mark.high > axis[1], 1)):
            x = _x(end, axis)
            if cut:
                corners = [(x + 7 * way, middle), (x, middle - 5), (x, middle + 5)]
                artists.append(Polygon(corners, gid="range"))
            else:
                line(x, middle - 5, x, middle + 5, "range")
    if mark.claimed is not None:
        artists.append(Rectangle((_x(mark.claimed, axis) - 6, middle - 6), 12, 12, gid="claimed"))
    if mark.experienced is not None:
        artists.append(Circle((_x(mark.experienced, axis), middle), 5, gid="experienced"))
    return svg(artists, WIDTH, HEIGHT, title)


@lru_cache(maxsize=256)
def scale(axis: Axis, unit: str = "%") -> Markup:
    """The labels of the axis, above the strips."""
    from matplotlib.text import Text

    artists: list[Artist] = []
    ticks = _ticks(axis)
    for tick in ticks:
        side = "left" if tick == ticks[0] else "right" if tick == ticks[-1] else "center"
        x = {"left": 0.0, "right": float(WIDTH)}.get(side, _x(tick, axis))
        written = f"{100 * tick:.0f}{unit}"
        artists.append(Text(x, 4, written, ha=side, fontsize=12, gid="tick"))
    return svg(artists, WIDTH, 18, "")


def _ticks(axis: Axis) -> list[float]:
    """Four to eight round values along the axis, both ends included."""
    low, high = axis
    span = high - low
    step = next((step for step in (0.01, 0.02, 0.05, 0.1, 0.2, 0.25, 0.5) if span / step <= 6.01), 1.0)
    inner = [n * step for n in range(math.ceil(low / step - 1e-6), math.floor(high / step + 1e-6) + 1)]
    return [low, *(value for value in inner if value - low > step / 2 and high - value > step / 2), high]


def _x(value: float, axis: Axis) -> float:
    low, high = axis
    part = (min(max(value, low), high) - low) / (high - low)
    return _INSET + part * (WIDTH - 2 * _INSET)
