"""The report: claimed beside lived for the whole fleet, then for the segments of one level."""

from collections.abc import Mapping, Sequence
from datetime import date

from rich.columns import Columns
from rich.console import Console, Group
from rich.table import Table
from rich.text import Text

from pipeline.cli.output.page import NOT_ENOUGH, WIDE, Line, Page, Plot, gap_points, nps_points, of_scale
from pipeline.cli.output.plots import CLAIMED, bar
from pipeline.cli.output.segment_table import show_segments
from pipeline.domain.answers.scores import SCALES, is_detractor, is_promoter
from pipeline.domain.detection.baseline import NULL_MIN_PAIRS
from pipeline.domain.events.contract import Score
from pipeline.domain.reports.embellishment import EARLY_SCAN_NULL
from pipeline.domain.reports.figures import ENOUGH_PAIRS, Compared, Figures, TwoByTwo
from pipeline.notifiers.wording.sentences import day, percent, points
from pipeline.store.reads.reports import NullState


def show_report(
    console: Console,
    fleet: Figures,
    dimension: str | None = None,
    segments: Mapping[str, Figures] | None = None,
    nulls: Sequence[NullState] = (),
    period: tuple[date | None, date | None] = (None, None),
) -> None:
    """The fleet's figures; with `dimension` also its `segments`; of the `nulls` those still missing."""
    page = Page(console)
    page.heading("Claimed, and lived" + _period(*period))
    if not fleet.coverage.completed:
        page.line("No order was completed in this time.")
        return
    _summary(page, fleet)
    _claims(page, fleet)
    _told(page, fleet)
    _scores(page, fleet)
    _coverage(page, fleet)
    _signs(page, fleet)
    if dimension is not None and segments:
        show_segments(page, dimension, segments)
    for null in nulls:
        if null.delta is None:
            page.console.print()
            so_far = f"{min(null.pairs, NULL_MIN_PAIRS)} of {NULL_MIN_PAIRS} pairs in 90 days"
            page.note(f"{null.signal}: {so_far}, too few to know what is usual: no evidence, no alerts yet.")


def _period(first: date | None, last: date | None) -> str:
    since = f", from {day(first)}" if first else ""
    return since + (f" to {day(last)}" if last else "")


def _summary(page: Page, fleet: Figures) -> None:
    row, grid = fleet.row, Table.grid(padding=(0, 2))
    for style in ("", "bold", "dim"):
        grid.add_column(style=style)
    latest = fleet.claims[1]
    if latest.share is not None:
        grid.add_row("Claimed on time", percent(latest.share), f"{latest.stated:,} delivered orders")
    _lived(page, grid, "on time", fleet.compared, fleet.on_time)
    if fleet.in_full.n:
        _lived(page, grid, "in full", fleet.compared_in_full, fleet.in_full)
    if fleet.perfect is not None:
        of = f"{fleet.perfect.n:,} orders of which all is known"
        grid.add_row("Perfect orders", page.figure(fleet.perfect), of)
    if fleet.unhappy is not None:
        of = f"{row.claimed_on_time_but_detractor:,} of {fleet.unhappy.n:,} answered"
        grid.add_row("Unhappy, though claimed on time", page.figure(fleet.unhappy), of)
    if row.mean_score is not None:
        score = page.figure(row.mean_score, of_scale)
        grid.add_row(f"Mean score of {fleet.scale}", score, f"{row.mean_score.n:,} scores")
    if row.nps is not None:
        grid.add_row("Scenario NPS", page.figure(row.nps, nps_points), f"{row.nps.n:,} scores")
    page.console.print(grid)


def _lived(page: Page, grid: Table, claim: str, compared: Compared | None, pairs: TwoByTwo) -> None:
    """What was lived and how far that is from the claim, in lines of the summary."""
    if compared is None:
        grid.add_row(f"Experienced {claim}", NOT_ENOUGH, f"{pairs.n:,} answered orders")
    elif pairs.n < ENOUGH_PAIRS:
        grid.add_row(f"Experienced {claim}", NOT_ENOUGH, f"{pairs.n} of {ENOUGH_PAIRS} answered orders")
    else:
        lived, gap = page.figure(compared.experienced), page.figure(compared.gap, gap_points)
        grid.add_row(f"Experienced {claim}", lived, f"{pairs.n:,} answered orders")
        grid.add_row("  gap, in points", gap, "claimed minus experienced")


def _claims(page: Page, fleet: Figures) -> None:
    lines: list[Line] = []
    for claim in fleet.claims:
        if claim.share is not None:
            cells = [claim.yardstick, f"{claim.kept:,}", f"{claim.stated:,}", percent(claim.share)]
            lines.append((cells, _bar(page, claim.share, CLAIMED)))
    if lines:
        page.plotted("What operations claims", ["measured by", "kept", "of", "share"], lines)


def _told(page: Page, fleet: Figures) -> None:
    """The two-by-two tables, and what is complained of."""
    tables = []
    for pairs, good, bad in ((fleet.on_time, "on time", "late"), (fleet.in_full, "in full", "not in full")):
        if pairs.n:
            table = page.table(f"{good.capitalize()}, answered orders", ["", f"lived {good}", f"lived {bad}"])
            table.add_row(f"claimed {good}", f"{pairs.n11:,}", Text(f"{pairs.n10:,}", "bold"))
            table.add_row(f"claimed {bad}", f"{pairs.n01:,}", f"{pairs.n00:,}")
            tables.append(table)
    if tables:
        page.block(Columns(tables, padding=(0, 4)) if page.width >= WIDE else Group(*tables))
    if fleet.conditions:
        told = ", ".join(f"{name.replace('_', ' ')} {n:,}" for name, n in fleet.conditions)
        page.block(Text(f"Customers complain of: {told}."))


def _scores(page: Page, fleet: Figures) -> None:
    for scale in (5, 10):
        counts = {score: n for (of, score), n in fleet.scores.items() if of == scale}
        if not counts:
            continue
        total, most = sum(counts.values()), max(counts.values())
        lines: list[Line] = []
        for value in reversed(SCALES[scale]):
            n = counts.get(value, 0)
            mood = _mood(Score(value, 5 if scale == 5 else 10))
            lines.append(([str(value), f"{n:,}", percent(n / total)], _bar(page, n / most, mood)))
        page.plotted(f"Scores, {SCALES[scale][0]} to {scale}", ["score", "answers", "share"], lines)


def _mood(score: Score) -> str:
    return "red" if is_detractor(score) else "green" if is_promoter(score) else "yellow"


def _coverage(page: Page, fleet: Figures) -> None:
    """The funnel; what is lost on the way stands indented, with its reason."""
    coverage = fleet.coverage
    steps = [
        ("completed", coverage.completed),
        ("  still under way", coverage.pending),
        ("contactable", coverage.contactable),
        *((f"  {loss.reason.replace('_', ' ')}", loss.orders) for loss in coverage.losses),
        ("asked", coverage.asked),
        ("  no answer", coverage.not_answered),
        ("answered", coverage.answered),
    ]
    lines: list[Line] = []
    for name, orders in steps:
        lost = name.startswith(" ")
        if orders or not lost:
            part = orders / coverage.completed
            plot = _bar(page, part, "dim red" if lost else "green")
            lines.append(([name, f"{orders:,}", percent(part)], plot))
    page.plotted("Coverage: who could tell, who did, and why not", ["", "orders", "share"], lines)


def _signs(page: Page, fleet: Figures) -> None:
    signs, grid = fleet.signs, Table.grid(padding=(0, 2))
    for style in ("", "bold", "dim"):
        grid.add_column(style=style)
    if signs.rescue is not None:
        of = f"of {signs.rescue.n:,} late at first"
        grid.add_row("Promise moved once missed", page.figure(signs.rescue), of)
    if signs.inflation is not None and signs.rescue is not None:
        grid.add_row("On time gained by moving", points(signs.inflation), "latest against first promise")
    if signs.early_scans is not None:
        of = f"of {signs.early_scans.n:,} told; {percent(EARLY_SCAN_NULL, 0)} is memory"
        grid.add_row("Came long after the scan", page.figure(signs.early_scans), of)
    if signs.missing_contacts is not None:
        ratio = page.figure(signs.missing_contacts, lambda value: f"{value:.1f}")
        of = f"times as often; {signs.missing_contacts.n:,} orders"
        grid.add_row("Nobody to ask on problems", ratio, of)
    if grid.row_count:
        page.block(Text("Signs of embellishment", "bold"))
        page.console.print(grid)


def _bar(page: Page, part: float, style: str) -> Plot:
    return lambda width: Text(bar(part, width, page.glyphs), style)
