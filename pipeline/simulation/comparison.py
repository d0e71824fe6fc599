"""What `unvarnished simulate` shows: the product beside the rules of most dashboards, at one's own volumes.

False alarms of honest fleets, days until a fault is found, and faults that are called over while they last. All random
numbers come from seeded generators: the same arguments give the same figures on every machine.
"""

from collections.abc import Sequence
from dataclasses import dataclass, replace
from pathlib import Path

import numpy as np
from rich.console import Console
from rich.table import Table

from pipeline.domain.detection.baseline import DELTA0, threshold
from pipeline.domain.detection.pairs import EXPERIENCE, ON_TIME
from pipeline.simulation import rules, segments
from pipeline.simulation.fleets import FLEETS, LEVELS, SIGNALS, Count, Fleet, Orders, honest
from pipeline.simulation.rules import Windows
from pipeline.simulation.screen import Floats

PRODUCT, GAP_RULE, Z_RULE = "Unvarnished", "rolling 28-day gap", "calibrated z-test"
RULES = (PRODUCT, GAP_RULE, Z_RULE)
FORMATS = (".png", ".svg")
HIDDEN = (0.2, 0.4, 0.6, 0.8)
"""Shares of the late orders that are claimed on time."""
EXCESS = (0.05, 0.10)
"""Lasting faults: points above the tolerance, as a rate."""


@dataclass(frozen=True, slots=True, kw_only=True)
class HonestRow:
    """One honest fleet: false alarms a year by rule, in all segments and both signals, and the causes among ours."""

    fleet: str
    alarms: dict[str, float]
    incidents: float


@dataclass(frozen=True, slots=True, kw_only=True)
class DelayRow:
    """One fault: median days until each rule finds it; None: at most half of the segments were found."""

    hidden: float
    rate: float
    days: dict[str, float | None]


@dataclass(frozen=True, slots=True, kw_only=True)
class ResolvedRow:
    """One lasting fault: share called resolved within a year, by the product and at the threshold of 100 days."""

    excess: float
    product: float
    at_100: float


@dataclass(frozen=True, slots=True, kw_only=True)
class Comparison:
    """Everything that one call measured."""

    depots: int
    answers: float
    budget: float
    honest: tuple[HonestRow, ...]
    delays: tuple[DelayRow, ...]
    resolved: tuple[ResolvedRow, ...]


def compare(*, depots: int, answers: float, budget: float = 1.0, fleets: int = 4, repeats: int = 100) -> Comparison:
    """Measure the rules for a fleet of that many depots, each with so many answers a day.

    `budget`: acceptable false alerts a year per signal. `fleets`: simulated fleets of each kind, for a year each.
    `repeats`: simulated segments for each fault. Raises ValueError if a number is not positive.
    """
    if min(depots, fleets, repeats) <= 0 or min(answers, budget) <= 0.0:
        raise ValueError("depots, fleets, repeats, answers and budget must be positive")
    limits = {
        ON_TIME: rules.calibrated_limit(0.04, answers, depots, budget),
        EXPERIENCE: rules.calibrated_limit(0.12, answers, depots, budget),
    }
    a = threshold(depots, len(LEVELS), budget)
    return Comparison(
        depots=depots,
        answers=answers,
        budget=budget,
        honest=tuple(
            _honest(_sized(kind, depots, answers), fleets, budget, limits) for kind in FLEETS if kind.depots > 3
        ),
        delays=tuple(_delay(hidden, answers, a, limits[ON_TIME], repeats) for hidden in HIDDEN),
        resolved=tuple(_resolved(excess, answers, a, repeats) for excess in EXCESS),
    )


def _sized(kind: Fleet, depots: int, answers: float) -> Fleet:
    """The same kind of fleet at other volumes."""
    name = "equal depots" if kind.name == FLEETS[0].name else kind.name
    regions, carriers = max(depots // 4, 1), max(min(depots // 3, 6), 1)
    return replace(
        kind,
        name=name,
        depots=depots,
        regions=regions,
        carriers=carriers,
        answers=answers,
        years=1,
        capacities=(depots, regions, carriers),
    )


def _honest(fleet: Fleet, seeds: int, budget: float, limits: dict[str, float]) -> HonestRow:
    count: Count = honest(fleet, range(seeds), budget)
    gap = z = 0
    for seed in range(seeds):
        orders = Orders(fleet, seed)
        for signal in SIGNALS:
            windows, usual = _windows(orders, signal)
            gap += rules.alarms(windows.gap(usual), rules.GAP)
            z += rules.alarms(windows.z(usual), limits[signal])
    years = count.fleet_years
    alarms = {PRODUCT: sum(count.pages.values()) / years, GAP_RULE: gap / years, Z_RULE: z / years}
    return HonestRow(fleet=fleet.name, alarms=alarms, incidents=count.incidents / years)


def _windows(orders: Orders, signal: str) -> tuple[Windows, float]:
    """The trailing windows of all depots, and the fleet's mean share."""
    days, depots = int(orders.day.max()) + 1, orders.fleet.depots
    cell = orders.day * depots + orders.depot
    n = np.bincount(cell, minlength=days * depots).reshape(days, depots).astype(np.float64)
    x = np.bincount(cell, orders.x[signal], minlength=days * depots).reshape(days, depots)
    return Windows.of(n, x.astype(np.float64)), float(orders.x[signal].mean())


def _delay(hidden: float, answers: float, a: float, limit: float, repeats: int) -> DelayRow:
    company = segments.Company(answers=answers)
    rate = company.rate_when_hiding(hidden)
    found = [segments.time_to_alert(company, hidden, a, seed) for seed in range(repeats)]
    windows = _faulty(rate, answers, repeats)
    start, usual = segments.HONEST_DAYS, segments.HONEST_RATE
    days = {
        PRODUCT: [float(each.days) if each else np.inf for each in found],
        GAP_RULE: rules.first_alarm(windows.gap(usual), rules.GAP, start).tolist(),
        Z_RULE: rules.first_alarm(windows.z(usual), limit, start).tolist(),
    }
    return DelayRow(hidden=hidden, rate=rate, days={rule: segments.median(values) for rule, values in days.items()})


def _faulty(rate: float, answers: float, repeats: int) -> Windows:
    """Segments that are honest at first and have a fault from then on."""
    rng = np.random.default_rng(11)
    days = segments.HONEST_DAYS + segments.GIVE_UP_DAYS
    n = rng.poisson(answers, (days, repeats))
    rates: Floats = np.where(np.arange(days) < segments.HONEST_DAYS, segments.HONEST_RATE, rate)
    return Windows.of(n.astype(np.float64), rng.binomial(n, rates[:, None]).astype(np.float64))


def _resolved(excess: float, answers: float, a: float, repeats: int) -> ResolvedRow:
    company = segments.Company(answers=answers)
    ended = [segments.resolved_within_a_year(company, DELTA0 + excess, a, seed) for seed in range(repeats)]
    ours, early = (sum(column) / repeats for column in zip(*ended, strict=True))
    return ResolvedRow(excess=excess, product=ours, at_100=early)


def render(comparison: Comparison, console: Console | None = None) -> None:
    """Print a comparison as three tables."""
    console = console or Console()
    console.print(_honest_table(comparison))
    console.print(_delay_table(comparison.delays))
    console.print(_resolved_table(comparison.resolved))


def _honest_table(comparison: Comparison) -> Table:
    table = _table("Honest fleets: false alarms a year", "honest fleet", *RULES, "causes among ours")
    for row in comparison.honest:
        table.add_row(row.fleet, *(f"{row.alarms[rule]:.2f}" for rule in RULES), f"{row.incidents:.2f}")
    table.caption = (
        f"{comparison.depots} depots with {comparison.answers:g} answers a day, signals on time and satisfaction; ours "
        f"also watches regions and carriers, with a budget of {comparison.budget:g} a year for each signal. The z-test "
        "is calibrated to that budget for equal, independent depots."
    )
    return table


def _delay_table(rows: Sequence[DelayRow]) -> Table:
    table = _table(
        "Late orders claimed on time: median days until it is found", "late orders hidden", "say late", *RULES
    )
    for row in rows:
        table.add_row(f"{row.hidden:.0%}", f"{row.rate:.1%}", *(_days(row.days[rule]) for rule in RULES))
    return table


def _resolved_table(rows: Sequence[ResolvedRow]) -> Table:
    table = _table(
        "Faults that last: called resolved within a year", "above the tolerance", PRODUCT, "at evidence of 100 days"
    )
    for row in rows:
        table.add_row(f"{100 * row.excess:g} points", f"{row.product:.0%}", f"{row.at_100:.0%}")
    return table


def _table(title: str, *headings: str) -> Table:
    table = Table(title=title)
    for heading in headings:
        table.add_column(heading, justify="left" if heading == headings[0] else "right")
    return table


def _days(value: float | None) -> str:
    return "not found" if value is None else f"{value:,.0f}"


def plot(comparison: Comparison, path: Path) -> None:
    """Draw a comparison as one image; its format follows from the file's name (`FORMATS`).

    Raises ValueError for another format, OSError if the file cannot be written.
    """
    from matplotlib.figure import Figure

    figure = Figure(figsize=(11, 4.5), layout="constrained")
    left, right = figure.subplots(1, 2)
    places = np.arange(len(comparison.honest))
    for shift, rule in enumerate(RULES):
        heights = [row.alarms[rule] for row in comparison.honest]
        left.barh(places + 0.27 * (shift - 1), heights, 0.25, label=rule)
        known = [row for row in comparison.delays if row.days[rule] is not None]
        right.plot([100 * row.hidden for row in known], [row.days[rule] for row in known], "o-", label=rule)
    left.set_yticks(places, [row.fleet for row in comparison.honest])
    left.invert_yaxis()
    left.set_xscale("symlog", linthresh=1.0)
    left.set_xlim(left=0.0)
    left.set_xlabel("false alarms a year")
    left.set_title("Nothing is wrong: false alarms", fontsize=11)
    right.set_yscale("log")
    right.set_xlabel("late orders claimed on time, %")
    right.set_ylabel("median days until it is found")
    right.set_title("Something is wrong: days until it is found", fontsize=11)
    right.legend()
    figure.savefig(path)
