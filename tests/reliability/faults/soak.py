"""Sends a million events through a cluster: `make bench WHAT=soak`. No process may grow.

Half of the events are sent by HTTP, the others are produced to Kafka, as fast as the cluster processes them. Exit code
1: a process's resident memory grew by 5 % or more in the second half of the run, or a process ended.
"""

import argparse
import re
import statistics
import sys
import threading
import time
from collections.abc import Callable
from functools import partial
from itertools import islice

from kafka import KafkaProducer
from rich.console import Console
from rich.table import Table

from bench.events import source_records
from pipeline.consumers.cluster.kafka.topics import GROUP
from pipeline.demo.http_client import HttpClient
from tests.reliability.faults.monitor import Monitor
from tests.reliability.faults.trial import fresh, servers
from tests.support.limits import until
from tests.support.provider import Provider
from tests.support.running.roles import PARTITIONS, Cluster, Process

EVENTS = 1_000_000
ROLES = ("web", "relay", "worker", "worker", "dispatcher")
GROWTH = 0.05
_BATCH = 500  # events a request
_AHEAD = 10_000  # events that may wait in the cluster
_SAMPLE_SECONDS = 1.0
_END_SECONDS = 300.0
_TENTH = 10
_TOKEN = re.compile(r"/f/([\w-]+)")


class MemoryMonitor(threading.Thread):
    """Samples the processes' resident memory in bytes, and the number of processed records."""

    def __init__(self, processes: list[Process], done: Callable[[], int]) -> None:
        super().__init__(name="memory", daemon=True)
        self._processes = processes
        self._done = done
        self._stopped = threading.Event()
        self.samples: list[tuple[int, tuple[int, ...]]] = []

    def run(self) -> None:
        while not self._stopped.wait(_SAMPLE_SECONDS):
            self.samples.append((self._done(), tuple(process.resident for process in self._processes)))

    def stop(self) -> None:
        """Take no more samples."""
        self._stopped.set()
        self.join()

    def between(self, n: int, start: float, end: float) -> float:
        """The median memory of the n-th process in a part of the run, from 0 to 1 of the processed records."""
        most = self.samples[-1][0]
        sample = [sizes[n] for done, sizes in self.samples if start * most <= done <= end * most]
        return statistics.median(sample)


class Customers(threading.Thread):
    """Answers every question that is sent, every fifth time contradicting the claim of operations."""

    def __init__(self, provider: Provider, client: HttpClient) -> None:
        super().__init__(name="customers", daemon=True)
        self._provider = provider
        self._client = client
        self._stopped = threading.Event()
        self.answered = 0

    def run(self) -> None:
        while not self._stopped.wait(_SAMPLE_SECONDS):
            for made in self._provider.made[self.answered :]:
                found = _TOKEN.search(made.fields["Body"])
                arrival = "on_time" if self.answered % 5 else "late"
                fields = [
                    ("submission", "s"),
                    ("arrival", arrival),
                    ("goods", "complete"),
                    ("score", "3"),
                    ("comment", ""),
                ]
                if found is not None:
                    self._client.submit_form(found[1], fields)
                self.answered += 1

    def stop(self) -> None:
        """Send no more answers."""
        self._stopped.set()
        self.join()


def main() -> int:
    """Returns the number of problems."""
    parser = argparse.ArgumentParser(prog="make bench WHAT=soak")
    parser.add_argument("--events", type=int, default=EVENTS)
    chosen = parser.parse_args()
    console = Console(width=120)
    with (
        servers() as found,
        fresh(found, LOG_LEVEL="warning", SEGMENT_LEVELS="region:20,depot:50,carrier:20") as (made, provider),
    ):
        processes = made.start(*ROLES)
        until(lambda: all(one.ready() for one in processes), "every role ready")
        monitor = Monitor(made.engine, made.bootstrap, made.prefix, made.prefix + GROUP, PARTITIONS)
        monitor.start()
        memory = MemoryMonitor(processes, lambda: sum(monitor.samples[-1].committed.values()) if monitor.samples else 0)
        memory.start()
        begun = time.monotonic()
        customers = Customers(provider, made.http_client())
        customers.start()
        _send_events(made, monitor, chosen.events, console)
        for _ in range(2):  # the second time without further answers
            until(lambda: monitor.next_sample(_END_SECONDS).idle, "no work left", _END_SECONDS)
            customers.stop()
        seconds = time.monotonic() - begun
        memory.stop()
        monitor.stop()
        ended = [one.role for one in processes if one.ended]
    console.print(
        f"{chosen.events:,} events in {seconds:,.0f} s, {chosen.events / seconds:,.0f}/s, "
        f"{customers.answered:,} questions answered, no work left"
    )
    growth = [memory.between(n, 0.9, 1.0) / memory.between(n, 0.5, 0.6) - 1 for n in range(len(ROLES))]
    console.print(_table(memory, growth))
    return len(ended) + sum(each >= GROWTH for each in growth)


def _send_events(made: Cluster, monitor: Monitor, events: int, console: Console) -> None:
    client, source = made.http_client(), islice(source_records(), events)
    with KafkaProducer(bootstrap_servers=made.bootstrap, acks="all", linger_ms=5) as producer:
        for n, batch in enumerate(iter(lambda: list(islice(source, 2 * _BATCH)), [])):
            while (sample := monitor.next_sample(_END_SECONDS)).lag + sample.unpublished > _AHEAD:
                pass
            for one in batch[_BATCH:]:
                producer.send(made.prefix + one.topic, one.value, one.key)
            raws = [one.value for one in batch[:_BATCH]]
            until(partial(client.send_events, raws), "the events accepted")
            producer.flush()
            if n % 50 == 0:
                console.print(f"{(n + 1) * 2 * _BATCH:,} events sent", highlight=False)


def _table(memory: MemoryMonitor, growth: list[float]) -> Table:
    table = Table(title="Resident memory, MB", title_justify="left")
    for heading in ("role", *(f"{n * 100 // _TENTH} %" for n in range(1, _TENTH + 1)), "last half"):
        table.add_column(heading, justify="left" if heading == "role" else "right")
    for n, role in enumerate(ROLES):
        sizes = (memory.between(n, tenth / _TENTH, (tenth + 1) / _TENTH) for tenth in range(_TENTH))
        table.add_row(role, *(f"{size / 1e6:.0f}" for size in sizes), f"{growth[n]:+.1%}")
    return table


if __name__ == "__main__":
    sys.exit(bool(main()))
