"""`make faults`: every fault on a cluster of real processes. Exit code 1: something was lost, done twice, or too late.

`make faults ARGS="kills churn"` runs only those; `--events N` tells N events where 30,000 are too many.
"""

import argparse
import logging
import statistics
import sys
from functools import partial

from rich.console import Console
from rich.table import Table

from tests.reliability.faults import scenarios
from tests.reliability.faults.told import told
from tests.reliability.faults.trial import Result, Scenario, ground, run

MOST = {"killed": 15.0, "back": 30.0, "paused": 15.0, "resumed": 30.0, "go": 15.0}  # seconds, by the last word
KILLS, AWAY_SECONDS, CHURN_SECONDS = 20, 60.0, 60.0
SHARE = 5  # the kills get all events, everything else the fifth part

SCENARIOS: dict[str, Scenario] = {
    "quiet": scenarios.nothing,
    "kills": partial(scenarios.kills, times=KILLS),
    "broker": partial(scenarios.broker_away, seconds=AWAY_SECONDS),
    "database": scenarios.database_crash,
    "paused": scenarios.paused_worker,
    "churn": partial(scenarios.churn, seconds=CHURN_SECONDS),
}


def late(result: Result) -> list[str]:
    """What went on later than promised."""
    return [
        f"{what}: {seconds:.1f} s until it went on, more than {MOST[what.split()[-1]]:.0f}"
        for what, times in result.progress.items()
        for seconds in times
        if seconds > MOST[what.split()[-1]]
    ]


def main() -> int:
    """Returns how many scenarios went wrong."""
    parser = argparse.ArgumentParser(prog="make faults")
    parser.add_argument("names", nargs="*", metavar="NAME", help=", ".join(SCENARIOS))
    parser.add_argument("--events", type=int, default=30_000)
    parser.add_argument("--seed", type=int, default=7)
    chosen = parser.parse_args()
    logging.disable(logging.WARNING)  # of what is lost on purpose
    console, bad = Console(width=160), 0
    table = Table(title="Faults", title_justify="left")
    for heading in (
        "scenario",
        "events",
        "went on after, s (median, most, times)",
        "settled",
        "unknown",
        "result",
    ):
        table.add_column(heading)
    with ground() as found:
        for name in chosen.names or SCENARIOS:
            items = told(chosen.events if name == "kills" else chosen.events // SHARE, chosen.seed)
            result = run(found, name, items, SCENARIOS[name])
            result.wrong += late(result)
            for line in [f"{name}: {'WRONG' if result.wrong else 'as in the quiet run'}", *result.wrong[:20]]:
                console.print(line, markup=False)
            bad += bool(result.wrong)
            table.add_row(*_row(result))
    console.print(table)
    return bad


def _row(result: Result) -> list[str]:
    times = "\n".join(
        f"{what}: {statistics.median(seconds):.1f}, {max(seconds):.1f}, {len(seconds)}"
        for what, seconds in result.progress.items()
    )
    return [
        result.name,
        f"{result.told:,}",
        times,
        f"{result.settled:.1f} s",
        f"{result.unknown}",
        f"{len(result.wrong)} wrong" if result.wrong else "the same",
    ]


if __name__ == "__main__":
    sys.exit(bool(main()))
