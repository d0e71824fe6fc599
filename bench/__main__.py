"""How fast a worker is on this machine, beside the same work on other frameworks and beside the limit.

`make bench-cluster`: starts Kafka and PostgreSQL, loads the topics, and has one contender after the other take the same
events into an empty database of its own. The machine may be noisy; what counts are the ratios of one run.
"""

import argparse
import sys
import tempfile
from collections.abc import Mapping, Sequence
from pathlib import Path
from types import MappingProxyType
from typing import NamedTuple

from rich.console import Console
from rich.table import Table

from bench.contender import Ground, Measured, latencies, rate
from bench.events import load
from deploy.kafka.native import Node
from pipeline.bench.running import quantile
from tests.support.postgres import postgres_server

EVENTS = 30_000
STEADY_SECONDS = 10.0
OUT = {"BENCH_OUT": "1"}


class Contender(NamedTuple):
    """A way to do the work: a module of `bench.peers`, so many times."""

    name: str
    module: str
    more: Mapping[str, str] = MappingProxyType({})
    processes: int = 1


LIMIT = "limit: fetch and COPY only"
CONTENDERS = (
    Contender("this pipeline (a relay sends)", "ours"),
    Contender("this pipeline, sending itself", "ours", OUT),
    Contender("confluent-kafka, a loop", "confluent_loop"),
    Contender("kafka-python, a loop", "kafka_python_loop"),
    Contender("FastStream (confluent)", "on_faststream"),
    Contender("Quix Streams", "on_quix"),
    Contender(LIMIT, "limit"),
    Contender("this pipeline, two workers", "ours", processes=2),
)


class Row(NamedTuple):
    """What was measured of one."""

    contender: Contender
    rate: Measured
    milliseconds: Sequence[int]


def main() -> int:
    """Returns 0."""
    parser = argparse.ArgumentParser(prog="make bench-cluster")
    parser.add_argument("modules", nargs="*", metavar="NAME", help=", ".join(sorted({c.module for c in CONTENDERS})))
    parser.add_argument("--events", type=int, default=EVENTS)
    parser.add_argument("--steady", type=float, default=STEADY_SECONDS, help="seconds; 0: no latencies")
    chosen = parser.parse_args()
    rows = []
    with tempfile.TemporaryDirectory(prefix="unvarnished-bench-") as name, postgres_server() as server:
        node = Node(Path(name) / "kafka")
        node.start()
        try:
            ground = Ground(node.bootstrap, server)
            load(node.bootstrap, "rate-", chosen.events)
            for contender in CONTENDERS:
                if chosen.modules and contender.module not in chosen.modules:
                    continue
                measured = rate(ground, "rate-", contender.module, contender.more, contender.processes, chosen.events)
                print(f"{contender.name}: {measured.rate:,.0f} events/s", file=sys.stderr, flush=True)
                steady: Sequence[int] = ()
                if chosen.steady and contender.processes == 1:
                    steady = latencies(ground, contender.module, contender.more, chosen.steady)
                rows.append(Row(contender, measured, steady))
        finally:
            node.kill()
    Console(width=140).print(_table(rows))
    return 0


def _table(rows: Sequence[Row]) -> Table:
    table = Table(title="The work of a worker", title_justify="left")
    for heading in ("", "events/s", "of the fastest", "of the limit", "CPU µs/event", "p50 ms", "p99 ms"):
        table.add_column(heading, justify="right" if heading else "left")
    fastest = max((r.rate.rate for r in rows if r.contender.name != LIMIT and r.contender.processes == 1), default=1.0)
    most = next((row.rate.rate for row in rows if row.contender.name == LIMIT), float("inf"))
    for row in rows:
        steady = sorted(row.milliseconds)
        table.add_row(
            row.contender.name,
            f"{row.rate.rate:,.0f}",
            f"{row.rate.rate / fastest:.2f}",
            f"1/{most / row.rate.rate:.1f}",
            f"{row.rate.cpu_microseconds:.0f}",
            *((f"{quantile(steady, 0.5)}", f"{quantile(steady, 0.99)}") if steady else ("", "")),
        )
    return table


if __name__ == "__main__":
    sys.exit(main())
