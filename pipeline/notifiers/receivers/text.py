"""An incident in a few plain sentences: titles, texts and annotations. Ids, codes and figures only."""

from collections.abc import Sequence

from pipeline.domain.detection.pairs import SOURCE_SILENT
from pipeline.domain.events.incidents import Cause, IncidentChanged, Rate
from pipeline.domain.notices.notice import Notice
from pipeline.notifiers.receivers.port import Delivery

TEST_TITLE = "Test message of Unvarnished"
TEST_TEXT = "This receiver works. No incident is open because of this message."
_CHANGES = {
    "opened": "opened",
    "reopened": "reopened",
    "escalated": "escalated",
    "resolved": "resolved",
    "closed": "closed",
    "merged": "merged into another incident",
    "split": "split off another incident",
    "unverified": "unverified, no answers for 30 days",
    "acknowledged": "acknowledged",
    "assigned": "assigned",
    "snoozed": "snoozed",
    "regrouped": "regrouped",
}
_TRENDS = {"better": "better", "unchanged": "unchanged", "worse": "worse", "too_few": "not known, too few answers"}


def title(delivery: Delivery) -> str:
    """The subject of a message."""
    if delivery.test:
        return TEST_TITLE
    if delivery.digest:
        n = len(delivery.notices)
        return f"Digest: {n} incident{'s' if n > 1 else ''}"
    return headline(delivery.notices[0])


def headline(notice: Notice) -> str:
    """One line about a change."""
    data = notice.data
    return f"[{data.severity or 'minor'}] {place(data.cause)}: {_CHANGES[notice.change]} ({data.cause.signal})"


def place(cause: Cause) -> str:
    """The segment of a cause, for people, on one line: its name may contain any character."""
    return _one_line(f"{cause.dimension} {cause.value}")


def body(delivery: Delivery, incident_url: str | None) -> str:
    """The text of a message."""
    if delivery.test:
        return TEST_TEXT
    blocks = []
    for notice in delivery.notices:
        head = [headline(notice)] if delivery.digest else []
        blocks.append("\n".join([*head, *lines(notice, incident_url)]))
    return "\n\n".join(blocks)


def lines(notice: Notice, incident_url: str | None) -> Sequence[str]:
    """What is known of an incident, one sentence a line."""
    data = notice.data
    found = [f"Incident {data.incident_id} is {data.state}; opened {data.opened_at:%Y-%m-%d %H:%M} UTC."]
    found += figures(data)
    if data.explains:
        n = len(data.explains)
        found.append(f"It explains {n} other alert{'s' if n > 1 else ''}.")
    link = link_of(data.incident_id, incident_url)
    return [*found, link] if link else found


def figures(data: IncidentChanged) -> list[str]:
    """Then and now, with the baseline and the trend."""
    found = []
    if data.cause.signal == SOURCE_SILENT:
        return [f"No event of this source since {data.then.since}."]
    if data.then.rate is not None:
        found.append(f"At opening: {_rate(data.then.rate)}, since {data.then.since}.{_baseline(data.then.null)}")
    now = data.now
    if now is not None:
        for days, rate in ((14, now.last_14_days), (30, now.last_30_days)):
            if rate is not None:
                found.append(f"Last {days} days: {_rate(rate)}.{_baseline(now.null)}")
        found.append(f"Trend: {_TRENDS[now.trend]}.")
    return found


def annotations(notice: Notice, incident_url: str | None) -> dict[str, str]:
    """What stands with an alert and is not part of its identity."""
    data = notice.data
    found = {
        "summary": headline(notice),
        "description": "\n".join(lines(notice, None)),
        "cause": _one_line(f"{data.cause.dimension}={data.cause.value}"),
        "cause_signal": data.cause.signal,
        "signals": ", ".join(data.signals),
        "state": data.state,
    }
    link = link_of(data.incident_id, incident_url)
    return found if link is None else {**found, "url": link}


def link_of(incident_id: str, incident_url: str | None) -> str | None:
    """The address of the incident's page; None: the configuration names none."""
    return None if incident_url is None else incident_url.replace("{id}", incident_id)


def _one_line(text: str) -> str:
    return " ".join("".join(each if each.isprintable() else " " for each in text).split())


def _rate(rate: Rate) -> str:
    return f"{rate.value:.0%} ({rate.low:.0%} to {rate.high:.0%}) of {rate.n} observations"


def _baseline(null: float | None) -> str:
    return "" if null is None else f" Baseline: {null:.1%}."
