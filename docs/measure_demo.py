"""Plays the demo's company with several seeds, embellishing and honest, and prints who is called, and how often.

    python -m docs.measure_demo [SEEDS]

Ninety days of each company go through the product as in `unvarnished demo`. An honest company has no depot that
embellishes; in every second of them one depot agrees with the customers of half of its late orders on a new promise.
"""

import sys
import tempfile
from collections.abc import Iterator
from pathlib import Path
from typing import NamedTuple

from pipeline.app.installation import Installation, open_installation
from pipeline.demo.company import LEVELS, START, Company
from pipeline.demo.conduct import EMBELLISHING, HONEST, Conduct
from pipeline.demo.people import MOVES_PROMISES
from pipeline.demo.start import play_demo
from pipeline.domain.access.principal import LOCAL
from pipeline.domain.detection.explanation import OpenRun, OrderPlace, explain
from pipeline.domain.detection.pairs import SIGNALS
from pipeline.domain.detection.segments import Segment, Series
from pipeline.domain.reports.alerts import Alert
from pipeline.domain.reports.diagnosis import diagnose
from pipeline.settings import Settings
from pipeline.store.db.engine import reading
from pipeline.store.evidence.evidence import EvidenceStore
from pipeline.store.journal.state import clock_of
from pipeline.store.reads import reports
from pipeline.store.reads.alerts import alerts_as_of

DAYS = 90


class Outcome(NamedTuple):
    """What one company raised in ninety days."""

    pages: int
    """Alerts that became a divergence, over all signals and segments."""
    causes: list[str]
    """The segments of the causes among the open ones: one incident each."""
    named: list[str]
    """Depots that the diagnosis names, and how."""


def play(seed: int, conduct: Conduct) -> Outcome:
    """Simulate one company in a folder of its own."""
    with tempfile.TemporaryDirectory() as folder:
        installation = open_installation(Settings(data_dir=Path(folder)), LEVELS, simulated=True)
        company = Company(seed, START, conduct)
        play_demo(installation, company, DAYS)
        outcome = _outcome(installation, company)
        installation.store.engine.dispose()
    return outcome


def _outcome(installation: Installation, company: Company) -> Outcome:
    with reading(installation.store.engine) as connection:
        alerts = alerts_as_of(connection, LOCAL, clock_of(connection).date())
        store = EvidenceStore(connection)
        thresholds = installation.setup.thresholds
        today = clock_of(connection).toordinal()
        orders = _places(company)
        causes = set[str]()
        for signal in SIGNALS:
            open_alerts = [alert for alert in alerts if alert.signal == signal and alert.state != "resolved"]
            runs = [_run(store, alert, thresholds[alert.dimension].on(today)) for alert in open_alerts]
            causes |= {key.rpartition("/")[0].partition("/")[2] for key in explain(runs, orders).causes}
        segments = reports.by_segment(connection, LOCAL, "depot")
    return Outcome(
        sum(alert.kind == "divergence" for alert in alerts),
        sorted(causes),
        [f"{finding.segment} {finding.how}" for finding in diagnose("depot", segments, alerts)],
    )


def _run(store: EvidenceStore, alert: Alert, threshold: float) -> OpenRun:
    series = Series(alert.dimension, alert.value, alert.signal)
    counted = store.state(series).pairs
    since = alert.since.toordinal()
    return OpenRun(
        key=alert.alert_id,
        segment=Segment(alert.dimension, alert.value),
        kind=alert.kind,
        threshold=threshold,
        pairs=[pair for pair in store.recent(series, counted, counted) if pair.day >= since],
        counted=counted,
    )


def _places(company: Company) -> dict[str, OrderPlace]:
    found = {}
    for day in range(DAYS):
        for story in company.stories(day):
            depot = story.customer.depot
            segments = [
                Segment("depot", depot.name),
                Segment("region", depot.region),
                Segment("carrier", story.carrier),
            ]
            found[story.order_id] = OrderPlace(story.customer.id, segments)
    return found


def measure(seeds: int) -> Iterator[str]:
    """Rows of a table in Markdown: the companies, the pages, the causes, the named depots."""
    agreeing = HONEST._replace(agrees_moves=MOVES_PROMISES)
    for seed in range(1, seeds + 1):
        honest = ("honest", HONEST) if seed % 2 else ("honest, one agrees half of its moves", agreeing)
        for name, conduct in (("embellishing", EMBELLISHING), honest):
            outcome = play(seed, conduct)
            causes, named = ", ".join(outcome.causes) or "none", ", ".join(outcome.named) or "nobody"
            yield f"| {seed} | {name} | {outcome.pages} | {causes} | {named} |"


if __name__ == "__main__":
    for row in measure(int(sys.argv[1]) if len(sys.argv) > 1 else 10):
        print(row, flush=True)
