"""Plays the demo's company with ten seeds, or those named, embellishing and honest, and prints who is called.

    python -m docs.measure_demo [SEED ...]

Ninety days of each company go through the product as in `unvarnished demo`. An honest company has no depot that
embellishes; in every second of them one depot agrees with the customers of half of its late orders on a new promise.
"""

import sys
import tempfile
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import NamedTuple

from pipeline.app.installation import Installation, open_installation
from pipeline.demo.company import LEVELS, START, Company
from pipeline.demo.conduct import EMBELLISHING, HONEST, Conduct
from pipeline.demo.people import MOVES_PROMISES
from pipeline.demo.start import play_demo
from pipeline.domain.access.principal import LOCAL
from pipeline.domain.reports.diagnosis import diagnose
from pipeline.settings import Settings
from pipeline.store.db.engine import reading
from pipeline.store.journal.state import clock_of
from pipeline.store.reads import incidents, reports
from pipeline.store.reads.alerts import alerts_as_of

DAYS = 90


class Outcome(NamedTuple):
    """What one company raised in ninety days."""

    pages: int
    """Alerts that became a divergence, over all signals and segments."""
    causes: list[str]
    """The causes of the incidents that go on."""
    named: list[str]
    """Depots that the diagnosis names, and how."""


def play(seed: int, conduct: Conduct) -> Outcome:
    """Simulate one company in a folder of its own."""
    with tempfile.TemporaryDirectory() as folder:
        installation = open_installation(Settings(data_dir=Path(folder)), LEVELS, simulated=True)
        company = Company(seed, START, conduct)
        play_demo(installation, company, DAYS)
        outcome = _outcome(installation)
        installation.store.engine.dispose()
    return outcome


def _outcome(installation: Installation) -> Outcome:
    with reading(installation.store.engine) as connection:
        alerts = alerts_as_of(connection, LOCAL, clock_of(connection).date())
        causes = [one.cause for one in incidents.going_on(connection, LOCAL)]
        segments = reports.by_segment(connection, LOCAL, "depot")
    return Outcome(
        sum(alert.kind == "divergence" for alert in alerts),
        sorted(f"{cause.dimension}/{cause.value}" for cause in causes),
        [f"{finding.segment} {finding.how}" for finding in diagnose("depot", segments, alerts)],
    )


def measure(seeds: Sequence[int]) -> Iterator[str]:
    """Rows of a table in Markdown: the companies, the pages, the incidents by their causes, the named depots."""
    agreeing = HONEST._replace(agrees_moves=MOVES_PROMISES)
    for seed in seeds:
        honest = ("honest", HONEST) if seed % 2 else ("honest, one agrees half of its moves", agreeing)
        for name, conduct in (("embellishing", EMBELLISHING), honest):
            outcome = play(seed, conduct)
            causes, named = ", ".join(outcome.causes) or "none", ", ".join(outcome.named) or "nobody"
            yield f"| {seed} | {name} | {outcome.pages} | {causes} | {named} |"


if __name__ == "__main__":
    for row in measure([int(text) for text in sys.argv[1:]] or range(1, 11)):
        print(row, flush=True)
