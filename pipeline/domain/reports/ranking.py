"""How terminal and pages present segments alike: which figures are shown, worst first, with marks on an axis."""

import math
from collections.abc import Callable, Iterable, Mapping
from typing import NamedTuple

from pipeline.domain.reports.figures import ENOUGH_PAIRS, Figures
from pipeline.domain.reports.scenario_nps import Figure

Axis = tuple[float, float]
_ROUNDING_SLACK = 1e-6  # steps: a bound such as 0.7 must not lose a whole step to the way floats are stored


class Mark(NamedTuple):
    """What one row of a plot shows, in the units of its axis; None: no such mark."""

    claimed: float | None = None
    experienced: float | None = None
    low: float | None = None
    high: float | None = None


def known(figure: Figure | None) -> Figure | None:
    """The figure if it rests on enough answers to be shown, else None."""
    return figure if figure is not None and figure.n >= ENOUGH_PAIRS else None


def mark_of(figure: Figure | None, claimed: float | None = None) -> Mark:
    """The mark of a figure and its interval (if there are enough answers), next to what was claimed."""
    shown = known(figure)
    return Mark(claimed) if shown is None else Mark(claimed, shown.value, shown.low, shown.high)


def worst_first(
    segments: Mapping[str, Figures],
    figure_of: Callable[[Figures], Figure | None],
    *,
    worst_is_low: bool = False,
) -> list[str]:
    """The names of the segments by a figure, the worst first; without enough answers for it they come last, by name."""

    def rank(name: str) -> tuple[bool, float, str]:
        figure = known(figure_of(segments[name]))
        if figure is None:
            return True, 0.0, name
        return False, figure.value if worst_is_low else -figure.value, name

    return sorted(segments, key=rank)


def axis_of(marks: Iterable[Mark], step: float, bounds: Axis) -> Axis:
    """An axis in whole steps around all points, within `bounds`.

    Intervals widen it by at most one step; what reaches further is to be cut.
    """
    marks = list(marks)
    points = [value for mark in marks for value in (mark.claimed, mark.experienced) if value is not None]
    if not points:
        return bounds
    ends = [end for mark in marks for end in (mark.low, mark.high) if end is not None]
    low = max(min([*points, *ends]), min(points) - step)
    high = min(max([*points, *ends]), max(points) + step)
    low = max(math.floor(low / step + _ROUNDING_SLACK) * step, bounds[0])
    high = min(math.ceil(high / step - _ROUNDING_SLACK) * step, bounds[1])
    if high - low < step / 2:  # all points coincide: one step of room, upwards if possible
        low, high = (low, low + step) if low + step <= bounds[1] else (high - step, high)
    return round(low, 6), round(high, 6)
