"""Alerts and findings in sentences a manager understands: figures with their interval, nothing overclaimed.

What the evidence says is exact, so its wording is, too. R of an honest segment grows by no more than one a
day on average; therefore it passes a level of R days no more than once in R days on average. That says how
rarely honesty looks like this, and is not the probability that this segment is honest.
"""

import math
import re
from collections.abc import Sequence
from datetime import date

from jinja2 import Environment, PackageLoader, StrictUndefined, select_autoescape

from pipeline.domain.detection.alerting import UNVERIFIED_AFTER_DAYS
from pipeline.domain.detection.baseline import DAYS_PER_YEAR
from pipeline.domain.detection.resolver import delta1
from pipeline.domain.reports.alerts import Alert
from pipeline.domain.reports.diagnosis import Finding
from pipeline.domain.reports.embellishment import EARLY_SCAN_TOLERANCE

_MONTHS = [
    "January",
    "February",
    "March",
    "April",
    "May",
    "June",
    "July",
    "August",
    "September",
    "October",
    "November",
    "December",
]
_UNKNOWN = "\N{REPLACEMENT CHARACTER}"
_RARELY_YEARS = 1_000_000  # beyond it more zeros say nothing more


def headline(alert: Alert) -> str:
    """One line: how bad, where, and what kind of thing it is."""
    return _render("headline.j2", alert=alert)


def describe(alert: Alert) -> str:
    """The alert as a paragraph: what is claimed, what was lived, how sure that is, and who is behind it."""
    return _render(
        "alert.j2",
        alert=alert,
        silent_days=UNVERIFIED_AFTER_DAYS,
        cases=cases(alert.run_rate * alert.run_n),
        rarity=rarity(alert.log10_e),
        over_below=delta1(alert.null, alert.low),
    )


def explain(finding: Finding) -> str:
    """One finding as a paragraph: who, how, the figures it rests on, and the rest of the fleet beside it."""
    return _render("finding.j2", finding=finding, hours=int(EARLY_SCAN_TOLERANCE.total_seconds() // 3600))


def conclude(dimension: str, findings: Sequence[Finding]) -> str:
    """The opening sentence over a list of findings, or that there is none."""
    return _render("conclusion.j2", dimension=dimension, findings=findings)


def place(dimension: str, value: str) -> str:
    """How a segment is called.

    "depot Lyon"; "region ARA, carrier Nordex" for a level made of two; "the whole fleet" for all orders.
    """
    if not dimension:
        return "the whole fleet"
    names, values = dimension.split("+"), value.split("+")
    if len(names) != len(values):
        names, values = [dimension], [value]
    return ", ".join(f"{plain(name)} {plain(part)}" for name, part in zip(names, values, strict=True))


def plain(text: str) -> str:
    """Text from an event, without what moves a cursor, colours a terminal or cannot be encoded."""
    return "".join(char if char.isprintable() else " " if char.isspace() else _UNKNOWN for char in text)


def percent(rate: float, digits: int = 1) -> str:
    """0.1654 -> "16.5%"."""
    return f"{100 * rate:.{digits}f}%"


def points(difference: float) -> str:
    """0.1654 -> "16.5 points"."""
    return f"{100 * difference:.1f} points"


def day(when: date) -> str:
    """A date as "3 March 2026"."""
    return f"{when.day} {_MONTHS[when.month - 1]} {when.year}"


def cases(total: float) -> str:
    """A sum of answers; "about" the nearest number where people who answered for one order disagree."""
    nearest = round(total)
    return f"{nearest:,}" if math.isclose(total, nearest, abs_tol=1e-6) else f"about {nearest:,}"


def rarity(log10_days: float) -> str:
    """A waiting time of 10**log10_days days in words, rounded down: "280 years", "45 days"."""
    if log10_days > math.log10(_RARELY_YEARS * DAYS_PER_YEAR):
        return "a million years"
    days = 10**log10_days * (1 + 1e-12)  # 81 years must not become 80 on the way through the logarithm
    if days < 2 * DAYS_PER_YEAR:
        whole = max(math.floor(days), 1)
        return "1 day" if whole == 1 else f"{whole:,} days"
    years = days / DAYS_PER_YEAR
    step = 10 ** max(math.floor(math.log10(years)) - 1, 0)
    return f"{math.floor(years / step) * step:,} years"


def _times(ratio: float) -> str:
    """How many times as often, rounded down: 2.69 -> "2.6"."""
    return f"{math.floor(ratio * 10) / 10:,.1f}" if ratio < 100 else f"{math.floor(ratio):,}"


def _first_up(text: str) -> str:
    return text[:1].upper() + text[1:]


def _place_of(subject: Alert | Finding) -> str:
    return place(subject.dimension, subject.value if isinstance(subject, Alert) else subject.segment)


# The templates are text; one that ends in .html would be escaped.
_environment = Environment(
    loader=PackageLoader("pipeline.notifiers.wording"),
    undefined=StrictUndefined,
    autoescape=select_autoescape(enabled_extensions=("html", "html.j2"), default=False),
)
_environment.filters |= {
    "percent": percent,
    "points": points,
    "day": day,
    "times": _times,
    "place": _place_of,
    "plain": plain,
    "first_up": _first_up,
}


def _render(template: str, **values: object) -> str:
    """The template's sentences on one line: its line breaks are for whoever edits it."""
    return re.sub(r"\s+", " ", _environment.get_template(template).render(**values)).strip()
