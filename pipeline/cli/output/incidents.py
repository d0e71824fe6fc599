"""Incidents as paragraphs of text."""

from collections.abc import Sequence

from rich.console import Console

from pipeline.cli.output.page import Page
from pipeline.domain.events.incidents import Rate
from pipeline.domain.incidents.incident import Incident
from pipeline.notifiers.wording import sentences


def show_incidents(console: Console, going_on: Sequence[Incident], ended: Sequence[Incident]) -> None:
    """Print the incidents that go on, in their order, and those that ended."""
    page = Page(console)
    page.heading("Incidents")
    if not going_on and not ended:
        page.line("None: no alert is open that notifies somebody, and none was.")
        return
    for title, colour, incidents in (("Open", "red", going_on), ("Ended", "green", ended)):
        if incidents:
            page.line(f"{title} ({len(incidents)})", f"bold {colour}")
        for incident in incidents:
            page.story(_headline(incident), _text(incident), f"bold {colour}")


def _headline(incident: Incident) -> str:
    segment = sentences.segment_name(incident.cause.dimension, incident.cause.value)
    signals = ", ".join(sentences.signal_name(name) for name in incident.signals)
    return f"{incident.incident_id} {incident.severity or 'no severity'}: {segment}, {signals}"


def _text(incident: Incident) -> str:
    parts: list[str] = [incident.state]
    if incident.owner is not None:
        parts.append(f"owner {sentences.plain(incident.owner)}")
    if incident.until is not None:
        parts.append(f"until {sentences.day(incident.until)}")
    if incident.merged_into is not None:
        parts.append(f"goes on as {incident.merged_into}")
    found = [", ".join(parts).capitalize(), f"opened {sentences.day(incident.opened_at)}: {_rate(incident.then.rate)}"]
    if incident.now is not None:
        found.append(f"last 30 days: {_rate(incident.now.last_30_days)}, {incident.now.trend.replace('_', ' ')}")
    if incident.explains:
        found.append(f"explains {len(incident.explains)} more")
    return "; ".join(found) + "."


def _rate(rate: Rate | None) -> str:
    if rate is None:
        return "no figures"
    low, high = sentences.percent(rate.low), sentences.percent(rate.high)
    return f"{sentences.percent(rate.value)} ({low} to {high}, {rate.n:,} orders)"
