"""Plots of one line each, made of characters: they fit into a table and survive a copy into an e-mail."""

from typing import NamedTuple

from rich.text import Text

from pipeline.domain.reports.ranking import Axis, Mark


class Glyphs(NamedTuple):
    """The characters of the plots."""

    claimed: str
    experienced: str
    both: str
    line: str
    low: str
    high: str
    below: str
    above: str
    bar: str
    parts: str  # parts of a bar's cell, smallest first
    dash: str
    bullet: str
    more: str


UNICODE = Glyphs("●", "○", "◉", "─", "├", "┤", "◂", "▸", "█", "▏▎▍▌▋▊▉", "–", "•", "…")
ASCII = Glyphs("*", "o", "@", "-", "[", "]", "<", ">", "#", "", "-", "-", "..")

CLAIMED = "bold yellow"
EXPERIENCED = "bold cyan"
INTERVAL = "cyan"


def bar(part: float, width: int, glyphs: Glyphs) -> str:
    """A bar for `part` (0 to 1) of `width` cells. A part above 0 is always visible."""
    steps = len(glyphs.parts) + 1
    filled = round(min(max(part, 0.0), 1.0) * width * steps)
    if part > 0:
        filled = max(filled, 1)
    whole, rest = divmod(filled, steps)
    return glyphs.bar * whole + (glyphs.parts[rest - 1] if rest else "")


def dumbbell(mark: Mark, axis: Axis, width: int, glyphs: Glyphs) -> Text:
    """A line of `width` cells: the interval as a bar, the claimed and the experienced figure as points on it."""
    cells: list[tuple[str, str]] = [(" ", "")] * width
    if mark.low is not None and mark.high is not None:
        first, last = _cell(mark.low, axis, width), _cell(mark.high, axis, width)
        cells[first : last + 1] = [(glyphs.line, INTERVAL)] * (last + 1 - first)
        cells[first] = (glyphs.below if mark.low < axis[0] else glyphs.low, INTERVAL)
        cells[last] = (glyphs.above if mark.high > axis[1] else glyphs.high, INTERVAL)
    if mark.claimed is not None:
        cells[_cell(mark.claimed, axis, width)] = (glyphs.claimed, CLAIMED)
    if mark.experienced is not None:
        cell = _cell(mark.experienced, axis, width)
        coincide = cells[cell][0] == glyphs.claimed
        cells[cell] = (glyphs.both, "bold") if coincide else (glyphs.experienced, EXPERIENCED)
    return Text.assemble(*cells)


def scale_line(left: str, right: str, width: int) -> str:
    """The labels of both ends of an axis, as wide as the plot below."""
    return left + " " * max(width - len(left) - len(right), 1) + right


def _cell(value: float, axis: Axis, width: int) -> int:
    low, high = axis
    return min(max(round((value - low) / (high - low) * (width - 1)), 0), width - 1)
