"""A million events through a cluster: `make soak-cluster`. Its processes must not grow, and nothing be left to do.

Half of the events come by HTTP, the others are produced; they come as fast as the cluster takes them. Exit code 1: a
role's resident memory grew by 5 % or more in the last half, or something was left.
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

from bench.events import told
from pipeline.consumers.cluster.kafka.topics import GROUP
from pipeline.demo.door import Door
from tests.reliability.faults.trial import fresh, ground
from tests.reliability.faults.watching import Watch
from tests.support.provider import Provider
from tests.support.running.roles import PARTITIONS, Cluster, Process, until

EVENTS = 1_000_000
ROLES = ("web", "relay", "worker", "worker", "dispatcher")
GROWTH = 0.05
_PORTION = 500  # events a request
_AHEAD = 10_000  # events that may wait in the cluster
_LOOK_SECONDS = 1.0
_END_SECONDS = 300.0
_TENTH = 10
_TOKEN = re.compile(r"/f/([\w-]+)")


class Memory(threading.Thread):
    """Looks at the processes' resident memory, in bytes, and at how much is done."""

    def __init__(self, processes: list[Process], done: Callable[[], int]) -> None:
        super().__init__(name="memory", daemon=True)
        self._processes = processes
        self._done = done
        self._stopped = threading.Event()
        self.looks: list[tuple[int, tuple[int, ...]]] = []

    def run(self) -> None:
        while not self._stopped.wait(_LOOK_SECONDS):
            self.looks.append((self._done(), tuple(process.resident for process in self._processes)))

    def stop(self) -> None:
        """Look no more."""
        self._stopped.set()
        self.join()

    def between(self, n: int, start: float, end: float) -> float:
        """The median of the n-th process's memory in a part of the run, by how much was done, from 0 to 1."""
        most = self.looks[-1][0]
        seen = [sizes[n] for done, sizes in self.looks if start * most <= done <= end * most]
        return statistics.median(seen)


class Customers(threading.Thread):
    """Answers every question that is sent, every fifth time against what operations claim."""

    def __init__(self, provider: Provider, door: Door) -> None:
        super().__init__(name="customers", daemon=True)
        self._provider = provider
        self._door = door
        self._stopped = threading.Event()
        self.answered = 0

    def run(self) -> None:
        while not self._stopped.wait(_LOOK_SECONDS):
            for made in self._provider.made[self.answered :]:
                found = _TOKEN.search(made.fields["Body"])
                arrival = "on_time" if self.answered % 5 else "late"
                said = [
                    ("submission", "s"),
                    ("arrival", arrival),
                    ("goods", "complete"),
                    ("score", "3"),
                    ("comment", ""),
                ]
                if found is not None:
                    self._door.fill_in(found[1], said)
                self.answered += 1

    def stop(self) -> None:
        """Answer nobody any more."""
        self._stopped.set()
        self.join()


def main() -> int:
    """Returns how many things went wrong."""
    parser = argparse.ArgumentParser(prog="make soak-cluster")
    parser.add_argument("--events", type=int, default=EVENTS)
    chosen = parser.parse_args()
    console = Console(width=120)
    with (
        ground() as found,
        fresh(found, LOG_LEVEL="warning", LEVELS="region:20,depot:50,carrier:20") as (made, provider),
    ):
        processes = made.start(*ROLES)
        until(lambda: all(one.ready() for one in processes), "every role ready")
        watch = Watch(made.engine, made.bootstrap, made.prefix, made.prefix + GROUP, PARTITIONS)
        watch.start()
        memory = Memory(processes, lambda: sum(watch.looks[-1].committed.values()) if watch.looks else 0)
        memory.start()
        begun = time.monotonic()
        customers = Customers(provider, made.door())
        customers.start()
        _bring(made, watch, chosen.events, console)
        for _ in range(2):  # the second time without whoever answers
            until(lambda: watch.next_look(_END_SECONDS).idle, "nothing left to do", _END_SECONDS)
            customers.stop()
        seconds = time.monotonic() - begun
        memory.stop()
        watch.stop()
        ended = [one.role for one in processes if one.ended]
    console.print(
        f"{chosen.events:,} events in {seconds:,.0f} s, {chosen.events / seconds:,.0f}/s, "
        f"{customers.answered:,} questions answered, nothing left to do"
    )
    growth = [memory.between(n, 0.9, 1.0) / memory.between(n, 0.5, 0.6) - 1 for n in range(len(ROLES))]
    console.print(_table(memory, growth))
    return len(ended) + sum(each >= GROWTH for each in growth)


def _bring(made: Cluster, watch: Watch, events: int, console: Console) -> None:
    door, source = made.door(), islice(told(), events)
    with KafkaProducer(bootstrap_servers=made.bootstrap, acks="all", linger_ms=5) as producer:
        for n, portion in enumerate(iter(lambda: list(islice(source, 2 * _PORTION)), [])):
            while (seen := watch.next_look(_END_SECONDS)).lag + seen.untold > _AHEAD:
                pass
            for one in portion[_PORTION:]:
                producer.send(made.prefix + one.topic, one.value, one.key)
            raws = [one.value for one in portion[:_PORTION]]
            until(partial(door.bring, raws), "the events taken")
            producer.flush()
            if n % 50 == 0:
                console.print(f"{(n + 1) * 2 * _PORTION:,} events brought", highlight=False)


def _table(memory: Memory, growth: list[float]) -> Table:
    table = Table(title="Resident memory, MB", title_justify="left")
    for heading in ("role", *(f"{n * 100 // _TENTH} %" for n in range(1, _TENTH + 1)), "last half"):
        table.add_column(heading, justify="left" if heading == "role" else "right")
    for n, role in enumerate(ROLES):
        sizes = (memory.between(n, tenth / _TENTH, (tenth + 1) / _TENTH) for tenth in range(_TENTH))
        table.add_row(role, *(f"{size / 1e6:.0f}" for size in sizes), f"{growth[n]:+.1%}")
    return table


if __name__ == "__main__":
    sys.exit(bool(main()))
