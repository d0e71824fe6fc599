"""The figures of the report as text: values with their ranges, and the word for a difference. Pure."""

from collections.abc import Callable
from typing import NamedTuple

from pipeline.domain.reports.periods.changes import Change
from pipeline.domain.reports.scenario_nps import Figure
from pipeline.web.internal.dashboard.panels import Cell

_NONE = Cell("", missing="not enough answers")


class ChangeRow(NamedTuple):
    """A figure of the table of changes. `tone`: of the verdict."""

    name: str
    now: Cell
    before: Cell
    difference: Cell
    verdict: str
    tone: str


def row_of(change: Change) -> ChangeRow:
    """A figure as text."""
    show = {"share": _percent, "difference": _signed_share, "points": _signed}[change.scale]
    signed = _signed if change.scale == "points" else _signed_share
    better = change.is_better
    return ChangeRow(
        change.name,
        _cell(change.now, show),
        _cell(change.before, show),
        _cell(change.difference, signed),
        change.verdict if better is None else f"change, {'better' if better else 'worse'}",
        "" if better is None else "good-text" if better else "bad-text",
    )


def points_cell(figure: Figure) -> Cell:
    """A figure in points, with its sign."""
    return _cell(figure, _signed)


def text_of(cell: Cell) -> str:
    """A cell on one line: "94.7% (92.0% to 96.9%)"."""
    if not cell.value:
        return cell.missing
    return f"{cell.value} ({cell.low} to {cell.high})" if cell.low else cell.value


def _cell(figure: Figure | None, show: Callable[[float], str]) -> Cell:
    return _NONE if figure is None else Cell(show(figure.value), show(figure.low), show(figure.high))


def _percent(share: float) -> str:
    return f"{100 * share:.1f}%"


def _signed_share(share: float) -> str:
    return _signed(100 * share)


def _signed(points: float) -> str:
    return f"{points:+.1f}".replace("-", "−") if abs(points) >= 0.05 else "0.0"
