"""Plots of one line each, made of characters: they fit into a table and survive a copy into an e-mail."""

import math
from collections.abc import Iterable
from typing import NamedTuple

from rich.text import Text

Axis = tuple[float, float]


class Glyphs(NamedTuple):
    """The marks of the plots."""

    claimed: str
    lived: str
    both: str
    line: str
    low: str
    high: str
    below: str
    above: str
    bar: str
    parts: str  # the parts of a cell of a bar, smallest first
    dash: str
    bullet: str
    more: str


UNICODE = Glyphs("●", "○", "◉", "─", "├", "┤", "◂", "▸", "█", "▏▎▍▌▋▊▉", "–", "•", "…")
ASCII = Glyphs("*", "o", "@", "-", "[", "]", "<", ">", "#", "", "-", "-", "..")

CLAIMED = "bold yellow"
LIVED = "bold cyan"
RANGE = "cyan"


class Mark(NamedTuple):
    """What one line of a plot shows, in the units of its axis; None: no such mark."""

    claimed: float | None = None
    lived: float | None = None
    low: float | None = None
    high: float | None = None


def bar(part: float, width: int, glyphs: Glyphs) -> str:
    """A bar of `part` (0 to 1) of `width` cells; what is not nothing never looks like nothing."""
    steps = len(glyphs.parts) + 1
    filled = round(min(max(part, 0.0), 1.0) * width * steps)
    if part > 0:
        filled = max(filled, 1)
    whole, rest = divmod(filled, steps)
    return glyphs.bar * whole + (glyphs.parts[rest - 1] if rest else "")


def dumbbell(mark: Mark, axis: Axis, width: int, glyphs: Glyphs) -> Text:
    """A line of `width` cells: the interval as a bar, what was claimed and what was lived as points on it."""
    cells: list[tuple[str, str]] = [(" ", "")] * width
    if mark.low is not None and mark.high is not None:
        first, last = _cell(mark.low, axis, width), _cell(mark.high, axis, width)
        cells[first : last + 1] = [(glyphs.line, RANGE)] * (last + 1 - first)
        cells[first] = (glyphs.below if mark.low < axis[0] else glyphs.low, RANGE)
        cells[last] = (glyphs.above if mark.high > axis[1] else glyphs.high, RANGE)
    if mark.claimed is not None:
        cells[_cell(mark.claimed, axis, width)] = (glyphs.claimed, CLAIMED)
    if mark.lived is not None:
        place = _cell(mark.lived, axis, width)
        meets = cells[place][0] == glyphs.claimed
        cells[place] = (glyphs.both, "bold") if meets else (glyphs.lived, LIVED)
    return Text.assemble(*cells)


def axis_of(marks: Iterable[Mark], step: float, bounds: Axis) -> Axis:
    """An axis in whole steps around all points; intervals reach at most a step further, then they are cut."""
    marks = list(marks)
    shown = [value for mark in marks for value in (mark.claimed, mark.lived) if value is not None]
    if not shown:
        return bounds
    ends = [end for mark in marks for end in (mark.low, mark.high) if end is not None]
    low = max(min([*shown, *ends]), min(shown) - step)
    high = min(max([*shown, *ends]), max(shown) + step)
    # Half a millionth: a bound such as 0.7 must not lose a whole step to the way floats are stored.
    low, high = math.floor(low / step + 5e-7) * step, math.ceil(high / step - 5e-7) * step
    low, high = max(low, bounds[0]), min(high, bounds[1])
    if high - low < step / 2:  # all on one spot: a step of room, upward if there is any
        return (low, low + step) if low + step <= bounds[1] else (high - step, high)
    return low, high


def scale_line(left: str, right: str, width: int) -> str:
    """The two ends of an axis, as wide as the plot below."""
    return left + " " * max(width - len(left) - len(right), 1) + right


def _cell(value: float, axis: Axis, width: int) -> int:
    low, high = axis
    return min(max(round((value - low) / (high - low) * (width - 1)), 0), width - 1)
