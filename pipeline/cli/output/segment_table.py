"""The segments of one level beside each other, the worst first: the claim, the experience, the scores."""

from collections.abc import Callable, Mapping

from rich.text import Text

from pipeline.cli.output.page import WIDE, Line, Page, Plot, gap_points, nps_points, of_scale
from pipeline.cli.output.plots import CLAIMED, LIVED, RANGE, Axis, Mark, axis_of, dumbbell
from pipeline.domain.reports.figures import ENOUGH_PAIRS, Figures
from pipeline.domain.reports.scenario_nps import Figure
from pipeline.notifiers.wording.sentences import percent, plain

_EXPLAINED = (
    "Claimed: delivered by the latest promise, as the record says, of all delivered orders. Experienced: "
    "what customers say of the same orders, weighed up to all of them. A range (95%) holds however often you "
    "look."
)
_EXPLAINED_UNHAPPY = (
    "No customer told when the goods came. So this shows who was unhappy (0-6 of 10, 1-2 of 5) among the "
    "answered orders that were claimed on time. A range (95%) holds however often you look."
)

Segments = Mapping[str, Figures]


def show_segments(page: Page, dimension: str, segments: Segments) -> None:
    """Claimed and lived where customers told when the goods came, else who was unhappy; then the scores."""
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
    marks = {value: _gap_mark(figures) for value, figures in segments.items()}
    axis = axis_of(marks.values(), 0.1, (0.0, 1.0))
    wide = page.width >= WIDE
    lines: list[Line] = []
    for value in _worst_first(segments, lambda figures: _known(_gap(figures))):
        figures, gap = segments[value], _gap(segments[value])
        cells = [page.short(value), _claimed(page, figures), page.figure(_experienced(figures))]
        if wide:
            cells.append("" if _known(gap) is None else page.figure(gap, gap_points))
        lines.append(([*cells, f"{figures.on_time.n:,}"], _plot(page, marks[value], axis)))
    columns = [dimension, "claimed", "experienced", *(["gap, points"] if wide else []), "answers"]
    page.plotted(f"Claimed and experienced on time, by {dimension}", columns, lines, _percent_ends(axis))
    page.console.print(_legend(page))


def _unhappy(page: Page, dimension: str, segments: Segments) -> None:
    marks = {value: _range_mark(figures.unhappy) for value, figures in segments.items()}
    axis = axis_of(marks.values(), 0.05, (0.0, 1.0))
    lines: list[Line] = []
    for value in _worst_first(segments, lambda figures: _known(figures.unhappy)):
        figures = segments[value]
        n = figures.row.answered_claimed_on_time
        cells = [page.short(value), _claimed(page, figures), page.figure(figures.unhappy), f"{n:,}"]
        lines.append((cells, _plot(page, marks[value], axis)))
    columns = [dimension, "claimed", "of these unhappy", "answers"]
    page.plotted(f"Claimed on time, and unhappy, by {dimension}", columns, lines, _percent_ends(axis))


def _scores(page: Page, dimension: str, segments: Segments) -> None:
    marks = {value: _range_mark(figures.row.nps) for value, figures in segments.items()}
    axis = axis_of(marks.values(), 20, (-100.0, 100.0))
    scales = {figures.scale for figures in segments.values() if figures.scores}
    lines: list[Line] = []
    for value in _worst_first(segments, lambda figures: _known(figures.row.nps), worst_is_low=True):
        row = segments[value].row
        nps = "" if _known(row.nps) is None else page.figure(row.nps, nps_points)
        cells = [page.short(value), page.figure(row.mean_score, of_scale), nps]
        lines.append(([*cells, f"{row.nps.n if row.nps else 0:,}"], _plot(page, marks[value], axis)))
    mean = f"mean of {scales.pop()}" if len(scales) == 1 else "mean score"
    ends = (f"{axis[0]:.0f}", f"{axis[1]:.0f}")
    page.plotted(f"Scores and scenario NPS, by {dimension}", [dimension, mean, "NPS", "scores"], lines, ends)


def _worst_first(
    segments: Segments, badness: Callable[[Figures], float | None], *, worst_is_low: bool = False
) -> list[str]:
    """The names of the segments, the worst first; those of which too little is known come last, by name."""

    def rank(value: str) -> tuple[bool, float, str]:
        known = badness(segments[value])
        if known is None:
            return True, 0.0, value
        return False, known if worst_is_low else -known, value

    return sorted(segments, key=rank)


def _experienced(figures: Figures) -> Figure | None:
    return None if figures.compared is None else figures.compared.experienced


def _gap(figures: Figures) -> Figure | None:
    return None if figures.compared is None else figures.compared.gap


def _known(figure: Figure | None) -> float | None:
    """The point, if there are enough answers to show it."""
    return figure.value if figure is not None and figure.n >= ENOUGH_PAIRS else None


def _claimed(page: Page, figures: Figures) -> str:
    claimed = figures.claims[1].share
    return page.glyphs.dash if claimed is None else percent(claimed)


def _gap_mark(figures: Figures) -> Mark:
    return _range_mark(_experienced(figures))._replace(claimed=figures.claims[1].share)


def _range_mark(figure: Figure | None) -> Mark:
    if figure is None or figure.n < ENOUGH_PAIRS:
        return Mark()
    return Mark(None, figure.value, figure.low, figure.high)


def _plot(page: Page, mark: Mark, axis: Axis) -> Plot:
    return lambda width: dumbbell(mark, axis, width, page.glyphs)


def _percent_ends(axis: Axis) -> tuple[str, str]:
    return percent(axis[0], 0), percent(axis[1], 0)


def _legend(page: Page) -> Text:
    glyphs = page.glyphs
    return Text.assemble(
        (glyphs.claimed, CLAIMED),
        " claimed  ",
        (glyphs.lived, LIVED),
        " experienced  ",
        (glyphs.both, "bold"),
        " both  ",
        (glyphs.low + glyphs.line + glyphs.high, RANGE),
        f" range, cut at {glyphs.below} {glyphs.above}",
    )
