"""The report: reported and experienced figures of the whole fleet, then of the segments of one level."""

from collections.abc import Mapping, Sequence
from datetime import date

from rich.columns import Columns
from rich.console import Console, Group
from rich.table import Table
from rich.text import Text

from pipeline.cli.output.page import NOT_ENOUGH, WIDE, Line, Page, Plot, gap_points, nps_points, score_points
from pipeline.cli.output.plots import CLAIMED, bar
from pipeline.cli.output.segment_table import show_segments
from pipeline.domain.answers.scores import SCALES, is_detractor, is_promoter
from pipeline.domain.detection.baseline import BASELINE_MIN_PAIRS
from pipeline.domain.events.contract import Score
from pipeline.domain.reports.embellishment import EARLY_SCAN_BASELINE
from pipeline.domain.reports.figures import ENOUGH_PAIRS, Compared, Figures, TwoByTwo
from pipeline.notifiers.wording.sentences import day, percent, points
from pipeline.store.reads.baselines import BaselineState

_REASONS = {  # reasons for not asking that their names do not explain
    "not_a_role_that_is_asked": "role is not asked",
    "no_channel": "no usable channel",
    "invalid_address": "phone or e-mail cannot be read",
    "undeliverable_address": "number out of service, a landline or blocked",
    "sampled_out": "not in the sample",
    "address_asked_recently": "asked for another account",
    "delivery_taken_back": "delivery taken back",
    "duplicate": "already asked",
    "account_cap": "account limit reached",
    "role_cap": "limit of the role reached",
    "quiet_all_day": "quiet hours all day",
    "rejected": "rejected by the provider",
    "not_sent": "could not be sent in time",
    "unresolved": "unknown whether sent",
}


def show_report(
    console: Console,
    fleet: Figures,
    dimension: str | None = None,
    segments: Mapping[str, Figures] | None = None,
    baselines: Sequence[BaselineState] = (),
    period: tuple[date | None, date | None] = (None, None),
) -> None:
    """Print the fleet's figures; with `dimension`, its `segments` too; of the `baselines`, those still missing."""
    page = Page(console)
    page.heading("Reported vs. experienced" + _period(*period))
    if not fleet.coverage.completed:
        page.line("No order was completed in this period.")
        return
    _summary(page, fleet)
    _claims(page, fleet)
    _contradictions(page, fleet)
    _scores(page, fleet)
    _coverage(page, fleet)
    _signs(page, fleet)
    if dimension is not None and segments:
        show_segments(page, dimension, segments)
    for baseline in baselines:
        if baseline.delta is None:
            page.console.print()
            pairs = f"{min(baseline.pairs, BASELINE_MIN_PAIRS)} of {BASELINE_MIN_PAIRS} pairs in 90 days"
            page.note(f"{baseline.signal}: {pairs}, too few to set a tolerance: no evidence and no alerts yet.")


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
    _experienced(page, grid, "on time", fleet.compared, fleet.on_time)
    if fleet.in_full.n:
        _experienced(page, grid, "in full", fleet.compared_in_full, fleet.in_full)
    if fleet.perfect is not None:
        of = f"{fleet.perfect.n:,} orders with complete data"
        grid.add_row("Perfect orders", page.figure(fleet.perfect), of)
    if fleet.unhappy is not None:
        of = f"{row.claimed_on_time_but_detractor:,} of {fleet.unhappy.n:,} with a score"
        grid.add_row("Unhappy, claimed on time", page.figure(fleet.unhappy), of)
    if row.mean_score is not None:
        score = page.figure(row.mean_score, score_points)
        grid.add_row(f"Mean score of {fleet.scale}", score, f"{row.mean_score.n:,} scores")
    if row.nps is not None:
        grid.add_row("Scenario NPS", page.figure(row.nps, nps_points), f"{row.nps.n:,} scores")
    page.console.print(grid)


def _experienced(page: Page, grid: Table, claim: str, compared: Compared | None, pairs: TwoByTwo) -> None:
    """Add the experienced share and its gap to the claim to the summary."""
    if compared is None:
        grid.add_row(f"Experienced {claim}", NOT_ENOUGH, f"{pairs.n:,} answered orders")
    elif pairs.n < ENOUGH_PAIRS:
        grid.add_row(f"Experienced {claim}", NOT_ENOUGH, f"{pairs.n} of {ENOUGH_PAIRS} answered orders")
    else:
        experienced, gap = page.figure(compared.experienced), page.figure(compared.gap, gap_points)
        grid.add_row(f"Experienced {claim}", experienced, f"{pairs.n:,} answered orders")
        grid.add_row("  gap, in points", gap, "claimed minus experienced")


def _claims(page: Page, fleet: Figures) -> None:
    lines: list[Line] = []
    for claim in fleet.claims:
        if claim.share is not None:
            cells = [claim.yardstick, f"{claim.kept:,}", f"{claim.stated:,}", percent(claim.share)]
            lines.append((cells, _bar(page, claim.share, CLAIMED)))
    if lines:
        page.plotted("Claims of operations", ["measured by", "kept", "of", "share"], lines)


def _contradictions(page: Page, fleet: Figures) -> None:
    """Print orders by claim and experience, and the problems that customers report."""
    tables = []
    for pairs, good, bad in ((fleet.on_time, "on time", "late"), (fleet.in_full, "in full", "not in full")):
        if pairs.n:
            table = page.table(
                f"{good.capitalize()}, answered orders", ["", f"experienced {good}", f"experienced {bad}"]
            )
            table.add_row(f"claimed {good}", f"{pairs.n11:,}", Text(f"{pairs.n10:,}", "bold"))
            table.add_row(f"claimed {bad}", f"{pairs.n01:,}", f"{pairs.n00:,}")
            tables.append(table)
    if tables:
        page.block(Columns(tables, padding=(0, 4)) if page.width >= WIDE else Group(*tables))
    if fleet.conditions:
        problems = ", ".join(f"{name.replace('_', ' ')} {n:,}" for name, n in fleet.conditions)
        page.block(Text(f"Problems reported by customers: {problems}."))


def _scores(page: Page, fleet: Figures) -> None:
    for scale in (5, 10):
        counts = {score: n for (of, score), n in fleet.scores.items() if of == scale}
        if not counts:
            continue
        total, largest = sum(counts.values()), max(counts.values())
        lines: list[Line] = []
        for value in reversed(SCALES[scale]):
            n = counts.get(value, 0)
            mood = _mood(Score(value, 5 if scale == 5 else 10))
            lines.append(([str(value), f"{n:,}", percent(n / total)], _bar(page, n / largest, mood)))
        page.plotted(f"Scores, {SCALES[scale][0]} to {scale}", ["score", "answers", "share"], lines)


def _mood(score: Score) -> str:
    return "red" if is_detractor(score) else "green" if is_promoter(score) else "yellow"


def _coverage(page: Page, fleet: Figures) -> None:
    """Print the steps from completed orders to understood replies. Losses are indented, with their reason."""
    coverage = fleet.coverage
    steps = [
        ("completed", coverage.completed),
        ("  in progress", coverage.pending),
        ("contactable", coverage.contactable),
        *((f"  {_reason(loss.reason)}", loss.orders) for loss in coverage.losses),
        ("asked", coverage.asked),
        ("  no answer", coverage.not_answered),
        ("replied", coverage.replied),
        ("  not yet read", coverage.unread),
        ("  read, nothing to code", coverage.nothing_to_code),
        ("understood", coverage.understood),
        *([("  by codes, not counted", coverage.qr_answers)] if coverage.qr_answers else []),
    ]
    lines: list[Line] = []
    for name, orders in steps:
        lost = name.startswith(" ")
        if orders or not lost:
            part = orders / coverage.completed
            plot = _bar(page, part, "dim red" if lost else "green")
            lines.append(([name, f"{orders:,}", percent(part)], plot))
    page.plotted("Survey coverage", ["", "orders", "share"], lines)


def _reason(reason: str) -> str:
    return _REASONS.get(reason, reason.replace("_", " "))


def _signs(page: Page, fleet: Figures) -> None:
    signs, grid = fleet.signs, Table.grid(padding=(0, 2))
    for style in ("", "bold", "dim"):
        grid.add_column(style=style)
    if signs.rescue is not None:
        of = f"of {signs.rescue.n:,} late by first promise"
        grid.add_row("Promise moved after a miss", page.figure(signs.rescue), of)
    if signs.inflation is not None and signs.rescue is not None:
        grid.add_row("Gain by moved promises", points(signs.inflation), "latest minus first promise")
    if signs.early_scans is not None:
        of = f"of {signs.early_scans.n:,} answers; tolerance {percent(EARLY_SCAN_BASELINE, 0)}"
        grid.add_row("Arrived long after scan", page.figure(signs.early_scans), of)
    if signs.missing_contacts is not None:
        ratio = page.figure(signs.missing_contacts, lambda value: f"{value:.1f}")
        of = f"times as often; {signs.missing_contacts.n:,} orders"
        grid.add_row("No contact on problem orders", ratio, of)
    if grid.row_count:
        page.block(Text("Signs of embellishment", "bold"))
        page.console.print(grid)
    if fleet.row.erased:
        page.block(
            Text(f"Erased contacts, counted in each of their orders: {fleet.row.erased:,}. Their scores still count.")
        )
    corrected = [("on time", signs.corrected_on_time), ("in full", signs.corrected_in_full)]
    if any(share for _, share in corrected):
        page.block(Text("Denials corrected to agreement by people", "bold"))
        shares = Table.grid(padding=(0, 2))
        for name, share in corrected:
            if share is not None:
                shares.add_row(name, percent(share))
        page.console.print(shares)
    if signs.shared_addresses or signs.changed_addresses:
        page.block(Text("Addresses of contacts, in orders", "bold"))
        counts = Table.grid(padding=(0, 2))
        counts.add_row("Also of another account", f"{signs.shared_addresses:,}")
        counts.add_row("Changed shortly before", f"{signs.changed_addresses:,}")
        page.console.print(counts)


def _bar(page: Page, part: float, style: str) -> Plot:
    return lambda width: Text(bar(part, width, page.glyphs), style)
