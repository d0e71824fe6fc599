"""A page of the terminal: what all its parts need to know of the console, and the shapes they share."""

from collections.abc import Callable, Sequence
from typing import Literal

from rich import box
from rich.cells import cell_len, set_cell_size
from rich.console import Console, RenderableType
from rich.padding import Padding
from rich.table import Table
from rich.text import Text

from pipeline.cli.output.plots import ASCII, UNICODE, scale_line
from pipeline.domain.reports.figures import ENOUGH_PAIRS
from pipeline.domain.reports.scenario_nps import Figure
from pipeline.notifiers.wording.sentences import percent, plain

NOT_ENOUGH = "not enough answers yet"
_NAME = (16, 28)  # cells of a name at most, on a narrow page and on a wide one
WIDE = 100  # columns from which on a page is wide
_PLOT = (10, 48)  # cells of a plot, at least and at most: longer ones say nothing more
_GAP = 2  # cells between two columns

Show = Callable[[float], str]
Plot = Callable[[int], Text]
Line = tuple[Sequence[str], Plot]
Justify = Literal["left", "right"]

# SIMPLE_HEAD for terminals without lines: a rule under the heads, nothing else.
_ASCII_HEAD = box.Box("    \n    \n -- \n    \n    \n    \n    \n    \n", ascii=True)


class Page:
    """A console, cleaned text on it, and tables of one kind; everything in ASCII if it knows nothing else."""

    def __init__(self, console: Console) -> None:
        self.console = console
        self.ascii = console.options.ascii_only
        self.glyphs = ASCII if self.ascii else UNICODE
        self.width = console.width

    def clean(self, text: str) -> str:
        """Text that this terminal can show and that cannot steer it: some of it came with an event."""
        shown = plain(text)
        return shown.encode("ascii", "replace").decode() if self.ascii else shown

    def block(self, what: RenderableType) -> None:
        """A table or the like, with a line of air above it."""
        self.console.print()
        self.console.print(what)

    def heading(self, text: str) -> None:
        """A rule with the title of a part."""
        self.console.print()
        title = Text(self.clean(text), "bold")
        self.console.rule(title, align="left", characters="-" if self.ascii else "─", style="dim")

    def line(self, text: str, style: str = "") -> None:
        """A line, wrapped where it must be."""
        self.console.print(Text(self.clean(text), style))

    def note(self, text: str) -> None:
        """A line that explains."""
        self.line(text, "dim")

    def item(self, text: str) -> None:
        """One item of a list."""
        grid = Table.grid(padding=(0, 1))
        grid.add_row(Text(self.glyphs.bullet), Text(self.clean(text)))
        self.console.print(grid)

    def story(self, title: str, text: str, style: str) -> None:
        """A title and a paragraph below it, indented."""
        self.console.print(Padding(Text(self.clean(title), style), (0, 0, 0, 2)))
        self.console.print(Padding(Text(self.clean(text)), (0, 0, 1, 4)))

    def table(self, title: str, columns: Sequence[str]) -> Table:
        """An empty table: a column of names and columns of figures."""
        table = Table(
            title=Text(self.clean(title), "bold"),
            title_justify="left",
            box=_ASCII_HEAD if self.ascii else box.SIMPLE_HEAD,
            pad_edge=False,
            padding=(0, _GAP - 1, 0, 0),
            show_edge=False,
        )
        for number, column in enumerate(columns):
            justify: Justify = "right" if number else "left"
            table.add_column(Text(self.clean(column)), justify=justify, no_wrap=True)
        return table

    def plotted(
        self, title: str, columns: Sequence[str], lines: Sequence[Line], ends: tuple[str, str] = ("", "")
    ) -> None:
        """A table with a plot at the end of each line, as wide as the figures leave room for."""
        table = self.table(title, columns)
        rows = [[self.clean(cell) for cell in cells] for cells, _ in lines]
        widest = [max(map(cell_len, column)) for column in zip(columns, *rows, strict=True)]
        room = self.width - sum(widest) - _GAP * len(widest) - (_GAP - 1)
        width = min(max(room, _PLOT[0]), _PLOT[1])
        table.add_column(Text(scale_line(*ends, width), "dim"), no_wrap=True, min_width=width)
        for row, (_, plot) in zip(rows, lines, strict=True):
            table.add_row(*map(Text, row), plot(width))
        self.block(table)

    def short(self, name: str) -> str:
        """A name, cut where it is too long for a column."""
        name, most = self.clean(name), _NAME[self.width >= WIDE]
        if cell_len(name) <= most:
            return name
        return set_cell_size(name, most - len(self.glyphs.more)).rstrip() + self.glyphs.more

    def figure(self, figure: Figure | None, show: Show = percent) -> str:
        """ "88.1% (86.0–90.2)", the unit left to the point; below ten answers no point."""
        if figure is None or figure.n < ENOUGH_PAIRS:
            return NOT_ENOUGH
        joint = " to " if figure.low < 0 else self.glyphs.dash
        return f"{show(figure.value)} ({show(figure.low).rstrip('%')}{joint}{show(figure.high).rstrip('%')})"


def of_scale(score: float) -> str:
    """A mean score: "4.17"."""
    return f"{score:.2f}"


def nps_points(value: float) -> str:
    """A scenario NPS, in whole points: "-12"."""
    return f"{round(value)}"


def gap_points(value: float) -> str:
    """A difference of shares, in points: "6.2"."""
    return f"{100 * value:.1f}"
