"""A page of the terminal: the console's width and characters, and the kinds of text and table on it."""

from collections.abc import Callable, Sequence
from typing import Literal

from rich import box
from rich.cells import cell_len, set_cell_size
from rich.console import Console, RenderableType
from rich.padding import Padding
from rich.table import Table
from rich.text import Text

from pipeline.cli.output.plots import ASCII, UNICODE, scale_line
from pipeline.domain.reports.ranking import known
from pipeline.domain.reports.scenario_nps import Figure
from pipeline.notifiers.wording.sentences import percent, plain

NOT_ENOUGH = "not enough answers yet"
_NAME = (16, 28)  # maximum cells of a name, on a narrow page and on a wide one
WIDE = 100  # minimum columns of a wide page
_PLOT = (10, 48)  # minimum and maximum cells of a plot: longer ones show nothing more
_GAP = 2  # cells between two columns

Show = Callable[[float], str]
Plot = Callable[[int], Text]
Line = tuple[Sequence[str], Plot]
Justify = Literal["left", "right"]

# Like SIMPLE_HEAD, for terminals without line characters: a rule under the headings, nothing else.
_ASCII_HEAD = box.Box("    \n    \n -- \n    \n    \n    \n    \n    \n", ascii=True)


class Page:
    """Prints text and tables on a console, in ASCII if the console can show nothing else."""

    def __init__(self, console: Console) -> None:
        self.console = console
        self.ascii = console.options.ascii_only
        self.glyphs = ASCII if self.ascii else UNICODE
        self.width = console.width

    def clean(self, text: str) -> str:
        """Text that this terminal can show, without control characters: some of it comes from events."""
        shown = plain(text)
        return shown.encode("ascii", "replace").decode() if self.ascii else shown

    def block(self, content: RenderableType) -> None:
        """Print a table or similar, after an empty line."""
        self.console.print()
        self.console.print(content)

    def heading(self, text: str) -> None:
        """Print a rule with the title of a section."""
        self.console.print()
        title = Text(self.clean(text), "bold")
        self.console.rule(title, align="left", characters="-" if self.ascii else "─", style="dim")

    def line(self, text: str, style: str = "") -> None:
        """Print a line, wrapped if it is too long."""
        self.console.print(Text(self.clean(text), style))

    def note(self, text: str) -> None:
        """Print a line of explanation."""
        self.line(text, "dim")

    def item(self, text: str) -> None:
        """Print one item of a list."""
        grid = Table.grid(padding=(0, 1))
        grid.add_row(Text(self.glyphs.bullet), Text(self.clean(text)))
        self.console.print(grid)

    def story(self, title: str, text: str, style: str) -> None:
        """Print a title and an indented paragraph below it."""
        self.console.print(Padding(Text(self.clean(title), style), (0, 0, 0, 2)))
        self.console.print(Padding(Text(self.clean(text)), (0, 0, 1, 4)))

    def table(self, title: str, columns: Sequence[str]) -> Table:
        """An empty table with a column of names and columns of figures."""
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
        """Print a table with a plot at the end of each line, as wide as the figures leave space for."""
        table = self.table(title, columns)
        rows = [[self.clean(cell) for cell in cells] for cells, _ in lines]
        widest = [max(map(cell_len, column)) for column in zip(columns, *rows, strict=True)]
        space = self.width - sum(widest) - _GAP * len(widest) - (_GAP - 1)
        width = min(max(space, _PLOT[0]), _PLOT[1])
        table.add_column(Text(scale_line(*ends, width), "dim"), no_wrap=True, min_width=width)
        for row, (_, plot) in zip(rows, lines, strict=True):
            table.add_row(*map(Text, row), plot(width))
        self.block(table)

    def short(self, name: str) -> str:
        """A name, cut if it is too long for a column."""
        name, max_cells = self.clean(name), _NAME[self.width >= WIDE]
        if cell_len(name) <= max_cells:
            return name
        return set_cell_size(name, max_cells - len(self.glyphs.more)).rstrip() + self.glyphs.more

    def figure(self, figure: Figure | None, show: Show = percent) -> str:
        """A figure with its interval, as in "88.1% (86.0–90.2)". Below ten answers: not enough answers."""
        figure = known(figure)
        if figure is None:
            return NOT_ENOUGH
        joint = " to " if figure.low < 0 else self.glyphs.dash
        return f"{show(figure.value)} ({show(figure.low).rstrip('%')}{joint}{show(figure.high).rstrip('%')})"


def score_points(score: float) -> str:
    """A mean score: "4.17"."""
    return f"{score:.2f}"


def nps_points(value: float) -> str:
    """A scenario NPS, in whole points: "-12"."""
    return f"{round(value)}"


def gap_points(value: float) -> str:
    """A difference of shares, in points: "6.2"."""
    return f"{100 * value:.1f}"
