"""The segments of one level in tables, the worst first: claim and experience, then scores."""

from collections.abc import Mapping

from rich.text import Text

from pipeline.cli.output.page import WIDE, Line, Page, Plot, gap_points, nps_points, score_points
from pipeline.cli.output.plots import CLAIMED, EXPERIENCED, INTERVAL, dumbbell
from pipeline.domain.reports.figures import Figures
from pipeline.domain.reports.ranking import Axis, Mark, axis_of, known, mark_of, worst_first
from pipeline.notifiers.wording.sentences import percent, plain

_EXPLAINED = (
    "Claimed: share of delivered orders that were on time by the latest promise, according to operations. "
    "Experienced: the same share according to customers, weighted to represent all delivered orders. The intervals "
    "(95%) hold however often you look."
)
_EXPLAINED_UNHAPPY = (
    "No answer says when the goods arrived. Unhappy customers (0-6 of 10, 1-2 of 5) are therefore counted among the "
    "orders that were claimed on time and got a score. The intervals (95%) hold however often you look."
)

Segments = Mapping[str, Figures]


def show_segments(page: Page, dimension: str, segments: Segments) -> None:
    """Print claim and experience if answers say when goods arrived, else the unhappy customers; then the scores."""
    dimension = plain(dimension)
    if any(figures.compared for figures in segments.values()):
        _gaps(page, dimension, segments)
        page.note(_EXPLAINED)
    elif any(figures.unhappy for figures in segments.values()):
        _unhappy(page, dimension, segments)
        page.note(_EXPLAINED_UNHAPPY)
    if any(figures.scores for figures in segments.values()):
        _scores(page, dimension, segments)


def _gaps(page: Page, dimension: str, segments: Segments) -> None:
    marks = {name: mark_of(figures.experienced, figures.claims[1].share) for name, figures in segments.items()}
    axis = axis_of(marks.values(), 0.1, (0.0, 1.0))
    wide = page.width >= WIDE
    lines: list[Line] = []
    for name in worst_first(segments, lambda figures: figures.gap):
        figures = segments[name]
        cells = [page.short(name), _claimed(page, figures), page.figure(figures.experienced)]
        if wide:
            cells.append("" if known(figures.gap) is None else page.figure(figures.gap, gap_points))
        lines.append(([*cells, f"{figures.on_time.n:,}"], _plot(page, marks[name], axis)))
    columns = [dimension, "claimed", "experienced", *(["gap, points"] if wide else []), "answers"]
    page.plotted(f"Claimed and experienced on time, by {dimension}", columns, lines, _percent_ends(axis))
    page.console.print(_legend(page))


def _unhappy(page: Page, dimension: str, segments: Segments) -> None:
    marks = {name: mark_of(figures.unhappy) for name, figures in segments.items()}
    axis = axis_of(marks.values(), 0.05, (0.0, 1.0))
    lines: list[Line] = []
    for name in worst_first(segments, lambda figures: figures.unhappy):
        figures = segments[name]
        n = figures.unhappy.n if figures.unhappy else 0
        cells = [page.short(name), _claimed(page, figures), page.figure(figures.unhappy), f"{n:,}"]
        lines.append((cells, _plot(page, marks[name], axis)))
    columns = [dimension, "claimed", "of these unhappy", "answers"]
    page.plotted(f"Claimed on time, and unhappy, by {dimension}", columns, lines, _percent_ends(axis))


def _scores(page: Page, dimension: str, segments: Segments) -> None:
    marks = {name: mark_of(figures.row.nps) for name, figures in segments.items()}
    axis = axis_of(marks.values(), 20, (-100.0, 100.0))
    scales = {figures.scale for figures in segments.values() if figures.scores}
    lines: list[Line] = []
    for name in worst_first(segments, lambda figures: figures.row.nps, worst_is_low=True):
        row = segments[name].row
        nps = "" if known(row.nps) is None else page.figure(row.nps, nps_points)
        cells = [page.short(name), page.figure(row.mean_score, score_points), nps]
        lines.append(([*cells, f"{row.nps.n if row.nps else 0:,}"], _plot(page, marks[name], axis)))
    mean = f"mean of {scales.pop()}" if len(scales) == 1 else "mean score"
    ends = (f"{axis[0]:.0f}", f"{axis[1]:.0f}")
    page.plotted(f"Scores and scenario NPS, by {dimension}", [dimension, mean, "NPS", "scores"], lines, ends)


def _claimed(page: Page, figures: Figures) -> str:
    claimed = figures.claims[1].share
    return page.glyphs.dash if claimed is None else percent(claimed)


def _plot(page: Page, mark: Mark, axis: Axis) -> Plot:
    return lambda width: dumbbell(mark, axis, width, page.glyphs)


def _percent_ends(axis: Axis) -> tuple[str, str]:
    return percent(axis[0], 0), percent(axis[1], 0)


def _legend(page: Page) -> Text:
    glyphs = page.glyphs
    return Text.assemble(
        (glyphs.claimed, CLAIMED),
        " claimed  ",
        (glyphs.experienced, EXPERIENCED),
        " experienced  ",
        (glyphs.both, "bold"),
        " both  ",
        (glyphs.low + glyphs.line + glyphs.high, INTERVAL),
        f" interval, cut at {glyphs.below} {glyphs.above}",
    )
