"""The dumbbell chart, row by row: the claim, the experience and its range as one strip of SVG that CSS colours.

Matplotlib draws it, without a name or a figure in it: those stand beside the strip as text, so that they are read
aloud, wrap on a phone and never shrink with the picture. A strip depends on its figures alone and is drawn once.
"""

import io
import math
import re
from collections.abc import Iterable
from functools import lru_cache
from threading import Lock
from typing import TYPE_CHECKING, NamedTuple
from xml.etree import ElementTree

from markupsafe import Markup

if TYPE_CHECKING:
    from matplotlib.artist import Artist

Axis = tuple[float, float]

WIDTH, HEIGHT = 320, 32  # units of the SVG; shown between 300 and 450 pixels wide, so one is about a pixel
_INSET = 9  # room for a mark that stands on the end of the axis
_SVG = "http://www.w3.org/2000/svg"
_POINTS = 72  # to the inch: with as many dots to it, one unit is one of the SVG's
_NAMES = frozenset({"grid", "join", "range", "claimed", "lived", "tick"})  # classes in pages.css
_ANCHOR = re.compile(r"text-anchor: *(\w+)")
_drawing = Lock()  # Matplotlib does not promise to draw in several threads at once


class Mark(NamedTuple):
    """What one strip shows, in the units of its axis; None: no such mark."""

    claimed: float | None = None
    lived: float | None = None
    low: float | None = None
    high: float | None = None


def axis_of(marks: Iterable[Mark], step: float, bounds: Axis) -> Axis:
    """An axis in whole steps around all points; a range reaches at most a step further, then it is cut."""
    marks = list(marks)
    points = [value for mark in marks for value in (mark.claimed, mark.lived) if value is not None]
    if not points:
        return bounds
    ends = [end for mark in marks for end in (mark.low, mark.high) if end is not None]
    low, high = max(min(points + ends), min(points) - step), min(max(points + ends), max(points) + step)
    # A bound such as 0.7 must not lose a whole step to the way floats are stored.
    low, high = math.floor(low / step + 1e-6) * step, math.ceil(high / step - 1e-6) * step
    low, high = max(low, bounds[0]), min(high, bounds[1])
    if high - low < step / 2:
        return (low, low + step) if low + step <= bounds[1] else (high - step, high)
    return round(low, 6), round(high, 6)


@lru_cache(maxsize=4_096)
def strip(mark: Mark, axis: Axis, title: str) -> Markup:
    """One row: the claim as a square, the experience as a dot on its range, joined; `title` says the same in words."""
    from matplotlib.lines import Line2D
    from matplotlib.patches import Circle, Polygon, Rectangle

    middle = HEIGHT / 2
    artists: list[Artist] = []

    def line(x0: float, y0: float, x1: float, y1: float, name: str) -> None:
        artists.append(Line2D((x0, x1), (y0, y1), gid=name))

    for tick in _ticks(axis):
        line(_x(tick, axis), 0, _x(tick, axis), HEIGHT, "grid")
    if mark.claimed is not None and mark.lived is not None:
        line(_x(mark.claimed, axis), middle, _x(mark.lived, axis), middle, "join")
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
    if mark.lived is not None:
        artists.append(Circle((_x(mark.lived, axis), middle), 5, gid="lived"))
    return _svg(artists, HEIGHT, title)


@lru_cache(maxsize=256)
def scale(axis: Axis, unit: str = "%") -> Markup:
    """The figures of the axis, to stand above the strips."""
    from matplotlib.text import Text

    artists: list[Artist] = []
    ticks = _ticks(axis)
    for tick in ticks:
        side = "left" if tick == ticks[0] else "right" if tick == ticks[-1] else "center"
        x = {"left": 0.0, "right": float(WIDTH)}.get(side, _x(tick, axis))
        written = f"{100 * tick:.0f}{unit}"
        artists.append(Text(x, 4, written, ha=side, fontsize=12, gid="tick"))
    return _svg(artists, 18, "")


def _ticks(axis: Axis) -> list[float]:
    """Four to eight round places along the axis, its ends among them."""
    low, high = axis
    span = high - low
    step = next((step for step in (0.01, 0.02, 0.05, 0.1, 0.2, 0.25, 0.5) if span / step <= 6.01), 1.0)
    inner = [n * step for n in range(math.ceil(low / step - 1e-6), math.floor(high / step + 1e-6) + 1)]
    return [low, *(place for place in inner if place - low > step / 2 and high - place > step / 2), high]


def _x(value: float, axis: Axis) -> float:
    low, high = axis
    part = (min(max(value, low), high) - low) / (high - low)
    return _INSET + part * (WIDTH - 2 * _INSET)


def _svg(artists: "Iterable[Artist]", height: int, title: str) -> Markup:
    """These artists, placed in units of the SVG, as an element that stands in a page."""
    from matplotlib import rc_context
    from matplotlib.backends.backend_svg import FigureCanvasSVG
    from matplotlib.figure import Figure
    from matplotlib.transforms import IdentityTransform

    with _drawing, rc_context({"svg.fonttype": "none", "path.simplify": False}):
        figure = Figure(figsize=(WIDTH / _POINTS, height / _POINTS), dpi=_POINTS)
        FigureCanvasSVG(figure)
        figure.patch.set_visible(False)
        for layer, artist in enumerate(artists):
            artist.set_transform(IdentityTransform())
            artist.set_zorder(layer)
            figure.add_artist(artist)
        written = io.StringIO()
        figure.savefig(written, format="svg", metadata={"Date": None})
    return _element(written.getvalue(), height, title)


def _element(document: str, height: int, title: str) -> Markup:
    """The drawing without what a page with a strict policy refuses: inline style becomes classes, ids and rest go."""
    drawn = ElementTree.fromstring(document)  # noqa: S314 - Matplotlib wrote it a moment ago
    svg = ElementTree.Element("svg", {"viewBox": f"0 0 {WIDTH} {height}", "class": "strip"})
    if title:
        svg.attrib |= {"role": "img", "aria-label": title}
        ElementTree.SubElement(svg, "title").text = title
    else:
        svg.set("aria-hidden", "true")
    for group in drawn.iter(f"{{{_SVG}}}g"):
        name = group.get("id", "")
        if name not in _NAMES:
            continue
        for shape in group.iter():
            tag = shape.tag.removeprefix(f"{{{_SVG}}}")
            if tag == "path":
                ElementTree.SubElement(svg, "path", {"class": name, "d": " ".join(shape.get("d", "").split())})
            elif tag == "text":
                anchor = _ANCHOR.search(shape.get("style", ""))
                place = {"x": shape.get("x", "0"), "y": shape.get("y", "0")}
                place |= {"class": name, "text-anchor": anchor[1] if anchor else "start"}
                ElementTree.SubElement(svg, "text", place).text = shape.text
    return Markup(ElementTree.tostring(svg, encoding="unicode"))  # noqa: S704 - escaped by ElementTree
