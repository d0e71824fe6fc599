"""`make bench WHAT=faults`: injects every fault into a cluster of real processes.

Exit code 1: an event was lost, a question was sent twice, or a recovery took too long.

`make bench WHAT=faults ARGS="kills churn"` runs only those scenarios; `--events N` sends N events instead of 30,000.
"""

import argparse
import logging
import statistics
import sys
from functools import partial

from rich.console import Console
from rich.table import Table

from tests.reliability.faults import scenarios
from tests.reliability.faults.trial import Result, Scenario, run, servers
from tests.reliability.faults.workload import workload

MAX_RECOVERY_SECONDS = {
    "killed": 15.0,
    "back": 30.0,
    "paused": 15.0,
    "resumed": 30.0,
    "go": 15.0,
}  # by the last word of a recovery's name
KILLS, AWAY_SECONDS, CHURN_SECONDS = 20, 60.0, 60.0
SHARE = 5  # the kills get all events, every other scenario a fifth of them

SCENARIOS: dict[str, Scenario] = {
    "none": scenarios.no_fault,
    "kills": partial(scenarios.kills, times=KILLS),
    "broker": partial(scenarios.broker_away, seconds=AWAY_SECONDS),
    "database": scenarios.database_crash,
    "paused": scenarios.paused_worker,
    "churn": partial(scenarios.churn, seconds=CHURN_SECONDS),
}


def late(result: Result) -> list[str]:
    """The recoveries that took longer than their limit."""
    return [
        f"{what}: recovered after {seconds:.1f} s, more than {MAX_RECOVERY_SECONDS[what.split()[-1]]:.0f}"
        for what, times in result.progress.items()
        for seconds in times
        if seconds > MAX_RECOVERY_SECONDS[what.split()[-1]]
    ]


def main() -> int:
    """Returns the number of scenarios that failed."""
    parser = argparse.ArgumentParser(prog="make bench WHAT=faults")
    parser.add_argument("names", nargs="*", metavar="NAME", help=", ".join(SCENARIOS))
    parser.add_argument("--events", type=int, default=30_000)
    parser.add_argument("--seed", type=int, default=7)
    chosen = parser.parse_args()
    logging.disable(logging.WARNING)  # about connections that are cut on purpose
    console, bad = Console(width=160), 0
    table = Table(title="Faults", title_justify="left")
    for heading in (
        "scenario",
        "events",
        "recovery, s (median, maximum, count)",
        "settled",
        "unknown",
        "result",
    ):
        table.add_column(heading)
    with servers() as found:
        for name in chosen.names or SCENARIOS:
            items = workload(chosen.events if name == "kills" else chosen.events // SHARE, chosen.seed)
            result = run(found, name, items, SCENARIOS[name])
            result.wrong += late(result)
            for line in [f"{name}: {'WRONG' if result.wrong else 'same as the reference run'}", *result.wrong[:20]]:
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
        f"{result.events:,}",
        times,
        f"{result.settled:.1f} s",
        f"{result.unknown_outcomes}",
        f"{len(result.wrong)} wrong" if result.wrong else "the same",
    ]


if __name__ == "__main__":
    sys.exit(bool(main()))
