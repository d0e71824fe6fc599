"""Runs contenders, each with its own processes, consumer group and database."""

import os
import subprocess
import sys
import threading
import time
from collections.abc import Iterator, Sequence
from contextlib import ExitStack, closing, contextmanager
from itertools import count
from pathlib import Path
from typing import NamedTuple

import msgspec
import psycopg
from sqlalchemy import make_url

from bench.events import load, make_topics, send_steadily
from bench.peers.work import BatchReport, ContenderConfig
from deploy.postgres.native import libpq_url
from pipeline.store.schema.upgrade import migrate
from tests.support.servers.postgres import PostgresServer

STEADY_RATE = 300  # events a second: well below what the slowest can do
_WARM = 60  # events before anything is measured
_TIMEOUT_SECONDS = 240.0
_STOP_TIMEOUT_SECONDS = 20.0
_ANALYZE_SECONDS = 1.0
_groups = count()


class Servers(NamedTuple):
    """The broker and the database server that all contenders use."""

    bootstrap: str
    server: PostgresServer


class Measurement(NamedTuple):
    """The throughput, and the CPU time that the contender's processes and the database server used for it."""

    rate: float  # events a second
    microseconds: float  # of CPU for each event
    database_microseconds: float


class Variant(NamedTuple):
    """How a contender runs: whether it publishes its own messages, and in how many processes."""

    sending: bool = False
    processes: int = 1


class _Batch(NamedTuple):
    at: float
    events: int
    cpu: float  # seconds so far
    milliseconds: Sequence[int]


class _Running:
    """One process that reports its batches."""

    def __init__(self, module: str, environment: dict[str, str]) -> None:
        self._process = subprocess.Popen(
            [sys.executable, "-m", f"bench.peers.{module}"], env=environment, stdout=subprocess.PIPE, text=True
        )
        self.batches: list[_Batch] = []
        self._reader = threading.Thread(target=self._read, daemon=True)
        self._reader.start()

    @property
    def ended(self) -> bool:
        return self._process.poll() is not None

    def end(self) -> None:
        self._process.terminate()
        try:
            self._process.wait(_STOP_TIMEOUT_SECONDS)
        except subprocess.TimeoutExpired:
            self._process.kill()
            self._process.wait()
        self._reader.join()

    def _read(self) -> None:
        with self._process:
            for line in self._process.stdout or ():
                if line.startswith('{"at"'):
                    found = msgspec.json.decode(line, type=BatchReport)
                    cpu = _cpu_seconds(self._process.pid)
                    self.batches.append(_Batch(found.at, len(found.milliseconds), cpu, found.milliseconds))


def _cpu_seconds(pid: int) -> float:
    """User and system time of a process so far, all threads together, in seconds. Linux only."""
    fields = Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()
    return (int(fields[11]) + int(fields[12])) / os.sysconf("SC_CLK_TCK")


def rate(servers: Servers, prefix: str, module: str, variant: Variant, events: int) -> Measurement:
    """Process the loaded events. The time before a process's first batch does not count."""
    with _running(servers, prefix, module, variant) as (running, database):
        _wait(running, events, database)
        return _measured(running, database, 0.0)


def rate_of_several(servers: Servers, module: str, variant: Variant, events: int) -> Measurement:
    """Process events in several processes. They are loaded once each process has completed its first batch."""
    prefix = f"together{next(_groups)}-"
    make_topics(servers.bootstrap, prefix)
    with _running(servers, prefix, module, variant) as (running, database):
        warm = 0
        while not all(one.batches for one in running):
            send_steadily(servers.bootstrap, prefix, warm, _WARM, STEADY_RATE)
            warm += _WARM
        _wait(running, warm, database)
        load(servers.bootstrap, prefix, events, warm)
        loaded = time.time()
        _wait(running, warm + events, database)
        return _measured(running, database, loaded)


def _measured(running: Sequence["_Running"], database: "_Database", since: float) -> Measurement:
    """The measurement over the time in which all processes were working."""
    begun = max(since, *(one.batches[0].at for one in running))
    ended = min(one.batches[-1].at for one in running)
    counted = sum(batch.events for one in running for batch in one.batches if begun < batch.at <= ended)
    cpu = sum(one.batches[-1].cpu - one.batches[0].cpu for one in running)
    done = sum(batch.events for one in running for batch in one.batches[1:])
    total = sum(batch.events for one in running for batch in one.batches)
    return Measurement(counted / (ended - begun), 1e6 * cpu / done, 1e6 * database.cpu_seconds() / total)


def latencies(servers: Servers, module: str, variant: Variant, seconds: float) -> Sequence[int]:
    """Milliseconds from the broker to the committed effect, of each event of a steady stream."""
    prefix, events = f"steady{next(_groups)}-", round(seconds * STEADY_RATE)
    make_topics(servers.bootstrap, prefix)
    with _running(servers, prefix, module, variant) as (running, database):
        send_steadily(servers.bootstrap, prefix, 0, _WARM, STEADY_RATE)
        _wait(running, _WARM, database)
        warm = len(running[0].batches)
        send_steadily(servers.bootstrap, prefix, _WARM, events, STEADY_RATE)
        _wait(running, _WARM + events, database)
    return [each for batch in running[0].batches[warm:] for each in batch.milliseconds]


@contextmanager
def _running(
    servers: Servers, prefix: str, module: str, variant: Variant
) -> Iterator[tuple[Sequence[_Running], "_Database"]]:
    database = servers.server.create_database()
    url = database.render_as_string(hide_password=False)
    migrate(url)
    read_config = ContenderConfig(servers.bootstrap, prefix, f"{module}-{next(_groups)}", url)
    environment = os.environ | {"BENCH_CONFIG": msgspec.json.encode(read_config).decode()}
    if variant.sending:
        environment["BENCH_OUT"] = "1"
    with ExitStack() as stack:
        stack.callback(servers.server.drop_database, database)
        running = []
        for _ in range(variant.processes):
            running.append(_Running(module, environment))
            stack.callback(running[-1].end)
        yield running, stack.enter_context(closing(_Database(url)))


class _Database:
    """The contender's database, on this machine."""

    def __init__(self, url: str) -> None:
        self._connection = psycopg.connect(libpq_url(make_url(url)), autocommit=True)
        self._analyzed_at = 0.0

    def analyze_if_due(self) -> None:
        """Run ANALYZE, as autovacuum does within a minute: until then the planner assumes that new tables are small."""
        if time.monotonic() > self._analyzed_at + _ANALYZE_SECONDS:
            self._connection.execute("ANALYZE")
            self._analyzed_at = time.monotonic()

    def cpu_seconds(self) -> float:
        """CPU seconds of the server processes of the contender's connections."""
        query = "SELECT pid FROM pg_stat_activity WHERE datname = current_database() AND pid <> pg_backend_pid()"
        return sum(_cpu_seconds(pid) for (pid,) in self._connection.execute(query))

    def close(self) -> None:
        """Close the connection."""
        self._connection.close()


def _wait(running: Sequence[_Running], events: int, database: _Database) -> None:
    """Wait until that many events are reported. Raises RuntimeError if a contender ends or takes too long."""
    end = time.monotonic() + _TIMEOUT_SECONDS
    while sum(batch.events for one in running for batch in one.batches) < events:
        if time.monotonic() > end or any(one.ended for one in running):
            raise RuntimeError("a contender ended, or does not process its events")
        database.analyze_if_due()
        time.sleep(0.02)
