"""Alerts and findings as paragraphs of text."""

from collections.abc import Sequence

from rich.console import Console

from pipeline.cli.output.page import Page
from pipeline.domain.reports.alerts import Alert, AlertGroup, grouped
from pipeline.domain.reports.diagnosis import Finding
from pipeline.notifiers.wording import sentences

_TITLES: dict[AlertGroup, tuple[str, str]] = {  # title and colour
    "open": ("Open", "red"),
    "information": ("For information (no notification)", "yellow"),
    "unverified": ("Unverified", "magenta"),
    "resolved": ("Resolved", "green"),
}


def show_alerts(console: Console, alerts: Sequence[Alert]) -> None:
    """Print every alert as text, the most urgent group first."""
    page = Page(console)
    page.heading("Alerts")
    if not alerts:
        page.line("None: no segment's answers contradict its claims enough for an alert.")
        return
    for group, members in grouped(alerts):
        title, colour = _TITLES[group]
        page.line(f"{title} ({len(members)})", f"bold {colour}")
        for alert in members:
            page.story(sentences.headline(alert), sentences.describe(alert), f"bold {colour}")
    page.note("At the moment of an alert a share tends to look worse than in the long run. Rely on its interval.")


def show_diagnosis(console: Console, dimension: str, findings: Sequence[Finding]) -> None:
    """Print which segments of a level embellish, and how."""
    page = Page(console)
    page.heading("Who embellishes, and how")
    page.line(sentences.conclude(dimension, findings))
    for finding in findings:
        page.item(sentences.explain(finding))
