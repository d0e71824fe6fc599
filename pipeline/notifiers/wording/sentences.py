"""Alerts and findings in sentences for managers: figures with their intervals, and no claim beyond the evidence.

The wording of the evidence is exact. R of an honest segment grows by at most one a day on average, so it reaches a
level of R days at most once in R days on average. This says how rarely an honest segment triggers the alert; it is not
the probability that this segment is honest. See docs/statistics.md.
"""

import math
import re
from collections.abc import Sequence
from datetime import date
from functools import lru_cache

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
_KEPT = 4_096  # sentences: pages show the same ones again and again, and alerts change rarely
_MAX_YEARS = 1_000_000  # longer waiting times are not more informative


@lru_cache(maxsize=_KEPT)
def headline(alert: Alert) -> str:
    """One line: the severity, the segment and the signal."""
    return _render("headline.j2", alert=alert)


@lru_cache(maxsize=_KEPT)
def describe(alert: Alert, scoped: bool = False) -> str:
    """The alert as a paragraph: claim, what customers experienced, how certain that is, how many accounts disagree.

    `scoped`: the reader sees a part of the fleet, and is told nothing of the fleet as a whole.
    """
    return _render(
        "alert.j2",
        alert=alert,
        scoped=scoped,
        silent_days=UNVERIFIED_AFTER_DAYS,
        cases=cases(alert.run_rate * alert.run_n),
        waiting_time=waiting_time(alert.log10_e),
        resolved_below=delta1(alert.null, alert.low),
    )


@lru_cache(maxsize=_KEPT)
def explain(finding: Finding, scoped: bool = False) -> str:
    """One finding as a paragraph: the segment, how it embellishes, its figures, and those of the rest of the fleet.

    `scoped`: the reader sees a part of the fleet, and the finding compares the segment with the rest of that part.
    """
    return _render(
        "finding.j2", finding=finding, scoped=scoped, hours=int(EARLY_SCAN_TOLERANCE.total_seconds() // 3600)
    )


def conclude(dimension: str, findings: Sequence[Finding]) -> str:
    """The introduction to a list of findings, or the statement that there is none."""
    return _render("conclusion.j2", dimension=dimension, findings=findings)


def segment_name(dimension: str, value: str) -> str:
    """A segment's name: "depot Lyon"; "region ARA, carrier Nordex" for a level of two dimensions; "the whole fleet"."""
    if not dimension:
        return "the whole fleet"
    names, values = dimension.split("+"), value.split("+")
    if len(names) != len(values):
        names, values = [dimension], [value]
    return ", ".join(f"{plain(name)} {plain(part)}" for name, part in zip(names, values, strict=True))


def signal_name(signal: str) -> str:
    """What a signal is about: "on time", "moved promises"."""
    return _render("signal.j2", signal=signal)


def contradiction(signal: str, scoped: bool = False) -> str:
    """What a segment claims and how its customers see it, to follow its name; `scoped` as in `describe`."""
    return _render("contradiction.j2", signal=signal, scoped=scoped)


def segment_kind(dimension: str) -> str:
    """A segment of a level: "a depot"; "a combination of region and carrier" for a level of two dimensions."""
    if not dimension:
        return "a fleet"
    names = [plain(name) for name in dimension.split("+")]
    if len(names) > 1:
        return f"a combination of {' and '.join(names)}"
    return f"{'an' if names[0][:1].lower() in 'aeiou' else 'a'} {names[0]}"


def plain(text: str) -> str:
    """Text of an event without control characters and without characters that cannot be encoded."""
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
    """A number of answers. It is a sum of fractions, hence "about", if people who answered for one order disagree."""
    nearest = round(total)
    return f"{nearest:,}" if math.isclose(total, nearest, abs_tol=1e-6) else f"about {nearest:,}"


def waiting_time(log10_days: float) -> str:
    """A time of 10**log10_days days in words, rounded down: "280 years", "45 days"."""
    if log10_days > math.log10(_MAX_YEARS * DAYS_PER_YEAR):
        return "a million years"
    days = 10**log10_days * (1 + 1e-12)  # the logarithm must not turn 81 years into 80
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


def _segment_name_of(subject: Alert | Finding) -> str:
    return segment_name(subject.dimension, subject.value if isinstance(subject, Alert) else subject.segment)


def _segment_kind_of(subject: Alert | Finding) -> str:
    return segment_kind(subject.dimension)


# The templates are plain text and not escaped; one that ends in .html would be.
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
    "segment_name": _segment_name_of,
    "segment_kind": _segment_kind_of,
    "plain": plain,
    "first_up": _first_up,
}


def _render(template: str, **values: object) -> str:
    """The rendered sentences on one line. The line breaks in a template only make it readable."""
    return re.sub(r"\s+", " ", _environment.get_template(template).render(**values)).strip()
