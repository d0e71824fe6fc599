"""The values of the segment pages: rows, badges, marks of the charts. Pure: nothing here reads the database."""

from collections.abc import Callable, Iterable, Mapping, Sequence
from datetime import date
from typing import NamedTuple

from markupsafe import Markup

from pipeline.domain.detection.segments import Segment
from pipeline.domain.reports.counts import Counts
from pipeline.domain.reports.figures import ENOUGH_PAIRS, Compared, Figures, compared_of
from pipeline.domain.reports.periods import trends
from pipeline.domain.reports.periods.spans import Span, first_day
from pipeline.domain.reports.periods.trends import Point, Shares
from pipeline.domain.reports.ranking import axis_of, mark_of
from pipeline.domain.reports.scenario_nps import Figure
from pipeline.notifiers.wording import sentences
from pipeline.store.reads.segments.segment import Notice
from pipeline.web.internal.dashboard import panels
from pipeline.web.internal.dashboard.panels import Cell
from pipeline.web.internal.filters import ReportFilter
from pipeline.web.internal.segments import charts
from pipeline.web.internal.segments.addresses import orders_address, segment_address

TOP = 20
SPARK_WEEKS, POOLED_WEEKS = 13, 4
_ONE_ACCOUNT = ("single_account", "single_account_dispute")


class Badge(NamedTuple):
    """A remark about a segment. `address`: where more is said; "": nowhere."""

    text: str
    tone: str
    meaning: str
    address: str = ""


class Row(NamedTuple):
    """One segment. `affected`: orders claimed on time that were late for the customer, estimated from the answers."""

    name: str
    address: str
    badges: list[Badge]
    claimed: str
    experienced: Cell
    gap: Cell
    affected: str
    denied: int
    answers: int
    orders: int
    to_orders: str
    to_denied: str
    spark: Markup = Markup("")


class Sorting(NamedTuple):
    """A way to sort: its name in the address, the heading, and whether large values come first."""

    name: str
    heading: str
    descending: bool


SORTINGS = (
    Sorting("name", "segment", False),
    Sorting("claimed", "claimed", False),
    Sorting("experienced", "experienced", False),
    Sorting("gap", "difference", True),
    Sorting("impact", "orders affected", True),
    Sorting("answers", "answers", True),
    Sorting("orders", "orders", True),
)


COUNTERS = ("completed", *trends.COUNTERS)
"""The counters that a list of segments needs of each: one that every order adds to, so that none is missing."""


class Known(NamedTuple):
    """A segment's summed counters (`COUNTERS`) and what follows from them."""

    name: str
    counts: Counts
    compared: Compared | None

    @property
    def stated(self) -> int:
        """Deliveries with a promise: the volume."""
        return self.counts.get("on_time:stated", 0)

    @property
    def gap(self) -> Figure | None:
        """The difference, if there are enough answers to show it."""
        return None if self.compared is None or self.compared.gap.n < ENOUGH_PAIRS else self.compared.gap

    @property
    def impact(self) -> float | None:
        """Gap x volume, in orders."""
        return None if self.gap is None else self.gap.value * self.stated


def known(segments: Mapping[str, Counts]) -> list[Known]:
    """The segments with their comparison."""
    return [Known(name, counts, compared_of(counts)) for name, counts in segments.items()]


def ranked(found: Sequence[Known], sorting: Sorting) -> list[Known]:
    """The segments in that order; those without the figure come last, those with most orders first."""

    def key(one: Known) -> tuple[bool, float, int, str]:
        value = _VALUES[sorting.name](one)
        if value is None:
            return True, 0.0, -one.stated, one.name
        return False, -value if sorting.descending else value, -one.stated, one.name

    return sorted(found, key=key) if sorting.name != "name" else sorted(found, key=lambda one: one.name.casefold())


def _experienced(one: Known) -> float | None:
    return None if one.compared is None or one.gap is None else one.compared.experienced.value


_VALUES: Mapping[str, Callable[[Known], float | None]] = {
    "name": lambda one: None,
    "claimed": lambda one: one.counts.get("on_time", 0) / one.stated if one.stated else None,
    "experienced": _experienced,
    "gap": lambda one: None if one.gap is None else one.gap.value,
    "impact": lambda one: one.impact,
    "answers": lambda one: float(one.compared.gap.n) if one.compared else None,
    "orders": lambda one: float(one.stated),
}


def row(one: Known, shown: ReportFilter, notice: Notice) -> Row:
    """The row of a segment, without its line."""
    segment = Segment(shown.by or "", one.name)
    claimed = _VALUES["claimed"](one)
    impact = one.impact
    return Row(
        one.name,
        segment_address(*segment),
        badges(one, notice),
        "–" if claimed is None else sentences.percent(claimed),
        panels.experienced(one.compared),
        panels.gap(one.compared),
        "" if impact is None or impact < 0.5 else f"{impact:,.0f}",
        one.counts.get("on_time:10", 0),
        one.compared.gap.n if one.compared else 0,
        one.stated,
        orders_address(segment, shown.first, shown.last),
        orders_address(segment, shown.first, shown.last, verdict="embellished"),
    )


def badges(one: Known, notice: Notice) -> list[Badge]:
    """What to know before one acts on the figures of a segment."""
    found = [
        Badge(f"incident {number}", "bad", "An incident of this segment goes on", f"/incidents/{number}")
        for number in notice.incidents
    ]
    if any(kind in _ONE_ACCOUNT for kind in notice.kinds):
        found.append(Badge("one account", "warn", "Without one account the answers would not contradict the claim"))
    if one.gap is None:
        answers = one.compared.gap.n if one.compared else 0
        meaning = f"{answers} of the {ENOUGH_PAIRS} answers that are needed to show a figure"
        found.append(Badge("too few answers", "calm", meaning))
    elif one.gap.low <= 0 <= one.gap.high:
        found.append(Badge("no proven difference", "calm", "The difference may be chance: its 95% range contains 0"))
    return found


def spark(shares: Sequence[Shares]) -> Markup:
    """The line of a row; the axis is that of the row, in whole steps."""
    values = [value for share in shares for value in (share.claimed, share.experienced) if value is not None]
    if not values:
        return Markup("")
    low = max(int(min(values) * 10) / 10 - 0.1, 0.0)
    rounded = tuple(Shares(_round(share.claimed), _round(share.experienced)) for share in shares)
    parts = [
        f"{name} {_first_and_last([getattr(share, name) for share in shares])}" for name in ("claimed", "experienced")
    ]
    return charts.sparkline(rounded, (round(low, 1), 1.0), f"{len(shares)} weeks: {', '.join(parts)}")


def _round(share: float | None) -> float | None:
    return None if share is None else round(share, 3)


def _first_and_last(values: Sequence[float | None]) -> str:
    stated = [value for value in values if value is not None]
    if not stated:
        return "unknown"
    return f"from {sentences.percent(stated[0])} to {sentences.percent(stated[-1])}"


class Line(NamedTuple):
    """One row of the table behind the chart."""

    label: str
    claimed: str
    experienced: Cell
    answers: int
    to_orders: str


class Trend(NamedTuple):
    """The chart of a segment, for wide and for narrow screens, and the same as a table."""

    wide: Markup
    narrow: Markup
    lines: list[Line]


def trend(
    points: Sequence[Point], unit: Span, opened_on: Iterable[date], to_orders: Callable[[date, date], str]
) -> Trend | None:
    """The chart of these points; None if no week or month has a claim. `opened_on`: the days that a line marks.

    `to_orders`: the address of the orders that were completed from the first to the second day.
    """
    if all(point.claimed is None for point in points):
        return None
    label = charts.month_label if unit == "month" else charts.week_label
    marks = [mark_of(point.compared.experienced if point.compared else None, point.claimed) for point in points]
    axis = axis_of(marks, 0.1, (0.0, 1.0))
    shown = tuple(charts.Shown(label(point.day), *mark) for point, mark in zip(points, marks, strict=True))
    days = [point.day for point in points]
    begun = {first_day(unit, day.toordinal()) for day in opened_on}
    opened = tuple(index for index, day in enumerate(days) if day in begun)
    title = _in_words(points, unit)
    return Trend(
        charts.chart(shown, axis, opened, title, narrow=False),
        charts.chart(shown, axis, opened, title, narrow=True),
        [_line(point, shown[index].label, unit, to_orders) for index, point in enumerate(points)][::-1],
    )


def _line(point: Point, label: str, unit: Span, to_orders: Callable[[date, date], str]) -> Line:
    last = point.day + (6 if unit == "week" else 30)
    while first_day(unit, last) != point.day:
        last -= 1
    return Line(
        label,
        "–" if point.claimed is None else sentences.percent(point.claimed),
        panels.experienced(point.compared),
        point.compared.gap.n if point.compared else 0,
        to_orders(date.fromordinal(point.day), date.fromordinal(last)),
    )


def _in_words(points: Sequence[Point], unit: Span) -> str:
    claimed = [point.claimed for point in points]
    experienced = [point.compared.experienced.value if _enough(point) else None for point in points if point.compared]
    return (
        f"On time by {unit}: claimed {_first_and_last(claimed)}, experienced {_first_and_last(experienced)}. "
        "The table below has every value."
    )


def _enough(point: Point) -> bool:
    return point.compared is not None and point.compared.gap.n >= ENOUGH_PAIRS


class Cause(NamedTuple):
    """What customers of the segment report, how often, and where those orders are."""

    name: str
    n: int
    of: int
    part: float


def causes(figures: Figures, counts: Counts) -> list[Cause]:
    """What went wrong for the customers, the most frequent first."""
    answered = max(counts.get("delivered:answered", 0), 1)
    late = figures.on_time.n10 + figures.on_time.n00
    found = [("late or not received", late, max(figures.on_time.n, 1))]
    found += [(name.replace("_", " "), n, answered) for name, n in figures.conditions]
    rows = [Cause(name, n, of, min(n / of, 1.0)) for name, n, of in found if n]
    return sorted(rows, key=lambda cause: (-cause.part, cause.name))


def signs(figures: Figures) -> list[tuple[str, Cell, str]]:
    """The signs of embellishment: name, value, of how many."""
    found = figures.signs
    rows: list[tuple[str, Cell, str]] = []
    if found.rescue is not None:
        of = f"{found.rescue.n:,} orders that missed their first promise"
        rows.append(("Promises moved after they were missed", panels.share_cell(found.rescue), of))
    if found.early_scans is not None:
        of = f"{found.early_scans.n:,} arrivals that customers state"
        rows.append(("Scanned over 2 hours before the goods arrived", panels.share_cell(found.early_scans), of))
    if found.contactable is not None:
        of = f"{figures.coverage.completed:,} orders"
        rows.append(("Orders with somebody to ask", Cell(sentences.percent(found.contactable)), of))
    return rows
