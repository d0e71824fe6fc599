"""What is told in sentences: the alerts, and which segments embellish."""

from collections.abc import Callable, Sequence

from rich.console import Console

from pipeline.cli.output.page import Page
from pipeline.domain.reports.alerts import Alert
from pipeline.domain.reports.diagnosis import Finding
from pipeline.notifiers.wording import sentences

_GROUPS: tuple[tuple[str, str, Callable[[Alert], bool]], ...] = (
    ("Open", "red", lambda alert: alert.state == "open" and alert.kind == "divergence"),
    ("Shown, not paged", "yellow", lambda alert: alert.state == "open" and alert.kind != "divergence"),
    ("Unverified", "magenta", lambda alert: alert.state == "unverified"),
    ("Over", "green", lambda alert: alert.state == "resolved"),
)


def show_alerts(console: Console, alerts: Sequence[Alert]) -> None:
    """Every alert in sentences: first those that page somebody, last what is over."""
    page = Page(console)
    page.heading("Alerts")
    if not alerts:
        page.line("None: nowhere do the answers contradict the claims enough to say so.")
        return
    for title, colour, belongs in _GROUPS:
        chosen = [alert for alert in alerts if belongs(alert)]
        if chosen:
            page.line(f"{title} ({len(chosen)})", f"bold {colour}")
        for alert in chosen:
            page.story(sentences.headline(alert), sentences.describe(alert), f"bold {colour}")
    page.note("A share looks worse at the moment of an alarm than in the long run; its range is the safer part.")


def show_diagnosis(console: Console, dimension: str, findings: Sequence[Finding]) -> None:
    """Which segments of a level embellish, and how."""
    page = Page(console)
    page.heading("Who embellishes, and how")
    page.line(sentences.conclude(dimension, findings))
    for finding in findings:
        page.item(sentences.explain(finding))
