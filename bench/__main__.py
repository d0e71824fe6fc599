"""Compares the throughput of a worker on this machine with the same work on other frameworks, and with the limit.

`make bench-cluster`: starts Kafka and PostgreSQL, loads the topics, and lets one contender after the other process the
same events into an empty database of its own. On a noisy machine only the ratios within one run are meaningful.
"""

import argparse
import sys
import tempfile
from collections.abc import Mapping, Sequence
from itertools import product
from pathlib import Path
from typing import NamedTuple

from rich.console import Console
from rich.table import Table

from bench.contender import Measurement, Servers, Variant, latencies, rate, rate_of_several
from bench.events import load, make_topics
from deploy.kafka.native import Node
from pipeline.bench.harness import quantile
from tests.support.servers.postgres import postgres_server

EVENTS = 30_000
ROUNDS = 3
STEADY_SECONDS = 10.0


LIMIT = "limit: fetch and COPY only"


class Contender(NamedTuple):
    """One implementation of the work: a module of `bench.peers`, and how it runs."""

    name: str
    module: str
    variant: Variant = Variant()

    @property
    def compared(self) -> bool:
        """Whether its rate is comparable: one process that does all of the work."""
        return self.name != LIMIT and self.variant.processes == 1


CONTENDERS = (
    Contender("this pipeline (a relay sends)", "ours"),
    Contender("this pipeline, sending itself", "ours", Variant(sending=True)),
    Contender("confluent-kafka, a loop", "confluent_loop"),
    Contender("kafka-python, a loop", "kafka_python_loop"),
    Contender("FastStream (confluent)", "on_faststream"),
    Contender("Quix Streams", "on_quix"),
    Contender(LIMIT, "limit"),
    Contender("this pipeline, two workers", "ours", Variant(processes=2)),
)


def main() -> int:
    """Run the benchmark and print the table. Returns 0."""
    parser = argparse.ArgumentParser(prog="make bench-cluster")
    parser.add_argument("modules", nargs="*", metavar="NAME", help=", ".join(sorted({c.module for c in CONTENDERS})))
    parser.add_argument("--events", type=int, default=EVENTS)
    parser.add_argument("--rounds", type=int, default=ROUNDS, help="rounds of each contender; the best one counts")
    parser.add_argument(
        "--steady", type=float, default=STEADY_SECONDS, help="seconds of a steady stream for latencies; 0: none"
    )
    chosen = parser.parse_args()
    wanted = [one for one in CONTENDERS if not chosen.modules or one.module in chosen.modules]
    best: dict[Contender, Measurement] = {}
    steady: dict[Contender, Sequence[int]] = {}
    with tempfile.TemporaryDirectory(prefix="unvarnished-bench-") as name, postgres_server() as server:
        node = Node(Path(name) / "kafka")
        node.start()
        try:
            servers = Servers(node.bootstrap, server)
            make_topics(node.bootstrap, "rate-")
            load(node.bootstrap, "rate-", chosen.events)
            for _, one in product(range(chosen.rounds), wanted):
                if one.variant.processes == 1:
                    found = rate(servers, "rate-", one.module, one.variant, chosen.events)
                else:
                    found = rate_of_several(servers, one.module, one.variant, 2 * chosen.events)
                print(f"{one.name}: {found.rate:,.0f} events/s", file=sys.stderr, flush=True)
                best[one] = max(found, best.get(one, found))
            for one in wanted:
                if chosen.steady and one.variant.processes == 1:
                    steady[one] = sorted(latencies(servers, one.module, one.variant, chosen.steady))
        finally:
            node.kill()
    Console(width=140).print(_table(best, steady))
    return 0


def _table(best: Mapping[Contender, Measurement], steady: Mapping[Contender, Sequence[int]]) -> Table:
    table = Table(title="Throughput of a worker", title_justify="left")
    cpu = ("CPU µs/event", "database's")
    for heading in ("", "events/s", "of the fastest", "of the limit", *cpu, "p50 ms", "p99 ms"):
        table.add_column(heading, justify="right" if heading else "left")
    fastest = max((found.rate for one, found in best.items() if one.compared), default=1.0)
    most = next((found.rate for one, found in best.items() if one.name == LIMIT), float("inf"))
    for one, found in best.items():
        times = steady.get(one)
        table.add_row(
            one.name,
            f"{found.rate:,.0f}",
            f"{found.rate / fastest:.2f}",
            f"1/{most / found.rate:.1f}",
            f"{found.microseconds:.0f}",
            f"{found.database_microseconds:.0f}",
            *((f"{quantile(times, 0.5)}", f"{quantile(times, 0.99)}") if times else ("", "")),
        )
    return table


if __name__ == "__main__":
    sys.exit(main())
