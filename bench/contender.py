"""Runs contenders: each in processes of its own, in a group of its own, on a database of its own."""

import os
import queue
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

from bench.events import load, make_topics, trickle
from bench.peers.work import Orders, Reported
from deploy.postgres.native import libpq_url
from pipeline.store.db.engine import migrate
from tests.support.servers.postgres import PostgresServer

STEADY_RATE = 300  # events a second: well below what the slowest can do
_WARM = 60  # events before anything is measured
_LONGEST_SECONDS = 240.0
_END_SECONDS = 20.0
_ANALYZE_SECONDS = 1.0
_groups = count()


class Ground(NamedTuple):
    """What all contenders stand on."""

    bootstrap: str
    server: PostgresServer


class Measured(NamedTuple):
    """How fast, and the CPU time it cost the contender's own processes and the database's for them."""

    rate: float  # events a second
    microseconds: float  # of an event
    database_microseconds: float


class How(NamedTuple):
    """How a contender runs: whether it sends its messages itself, and in how many processes."""

    sending: bool = False
    processes: int = 1


class _Batch(NamedTuple):
    at: float
    events: int
    cpu: float  # seconds so far
    milliseconds: Sequence[int]


class _Running:
    """One process that reports its batches."""

    def __init__(self, module: str, environment: dict[str, str], told: "queue.Queue[None]") -> None:
        self._process = subprocess.Popen(
            [sys.executable, "-m", f"bench.peers.{module}"], env=environment, stdout=subprocess.PIPE, text=True
        )
        self._told = told
        self.batches: list[_Batch] = []
        self._reader = threading.Thread(target=self._read, daemon=True)
        self._reader.start()

    @property
    def ended(self) -> bool:
        return self._process.poll() is not None

    def end(self) -> None:
        self._process.terminate()
        try:
            self._process.wait(_END_SECONDS)
        except subprocess.TimeoutExpired:
            self._process.kill()
            self._process.wait()
        self._reader.join()

    def _read(self) -> None:
        with self._process:
            for line in self._process.stdout or ():
                if line.startswith('{"at"'):
                    found = msgspec.json.decode(line, type=Reported)
                    cpu = _cpu_seconds(self._process.pid)
                    self.batches.append(_Batch(found.at, len(found.milliseconds), cpu, found.milliseconds))
                    self._told.put(None)


def _cpu_seconds(pid: int) -> float:
    """What a process has used so far, in user and system time, all threads together. Linux only."""
    fields = Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()
    return (int(fields[11]) + int(fields[12])) / os.sysconf("SC_CLK_TCK")


def rate(ground: Ground, prefix: str, module: str, how: How, events: int) -> Measured:
    """Have the loaded events taken. What a process did before its first batch does not count."""
    with _running(ground, prefix, module, how) as (running, database):
        _wait(running, events, database)
        return _measured(running, database, 0.0)


def rate_together(ground: Ground, module: str, how: How, events: int) -> Measured:
    """The same of several processes, which are told their events once each of them has taken some."""
    prefix = f"together{next(_groups)}-"
    make_topics(ground.bootstrap, prefix)
    with _running(ground, prefix, module, how) as (running, database):
        warm = 0
        while not all(one.batches for one in running):
            trickle(ground.bootstrap, prefix, warm, _WARM, STEADY_RATE)
            warm += _WARM
        _wait(running, warm, database)
        load(ground.bootstrap, prefix, events, warm)
        loaded = time.time()
        _wait(running, warm + events, database)
        return _measured(running, database, loaded)


def _measured(running: Sequence["_Running"], database: "_Database", since: float) -> Measured:
    """What was done in the time in which all of them worked."""
    begun = max(since, *(one.batches[0].at for one in running))
    ended = min(one.batches[-1].at for one in running)
    counted = sum(batch.events for one in running for batch in one.batches if begun < batch.at <= ended)
    cpu = sum(one.batches[-1].cpu - one.batches[0].cpu for one in running)
    done = sum(batch.events for one in running for batch in one.batches[1:])
    total = sum(batch.events for one in running for batch in one.batches)
    return Measured(counted / (ended - begun), 1e6 * cpu / done, 1e6 * database.cpu_seconds() / total)


def latencies(ground: Ground, module: str, how: How, seconds: float) -> Sequence[int]:
    """Milliseconds from the broker to the committed effect, of each event of a steady stream."""
    prefix, events = f"steady{next(_groups)}-", round(seconds * STEADY_RATE)
    make_topics(ground.bootstrap, prefix)
    with _running(ground, prefix, module, how) as (running, database):
        trickle(ground.bootstrap, prefix, 0, _WARM, STEADY_RATE)
        _wait(running, _WARM, database)
        warm = len(running[0].batches)
        trickle(ground.bootstrap, prefix, _WARM, events, STEADY_RATE)
        _wait(running, _WARM + events, database)
    return [each for batch in running[0].batches[warm:] for each in batch.milliseconds]


@contextmanager
def _running(ground: Ground, prefix: str, module: str, how: How) -> Iterator[tuple[Sequence[_Running], "_Database"]]:
    database = ground.server.create_database()
    url = database.render_as_string(hide_password=False)
    migrate(url)
    orders = Orders(ground.bootstrap, prefix, f"{module}-{next(_groups)}", url)
    told: queue.Queue[None] = queue.Queue()
    environment = os.environ | {"BENCH_ORDERS": msgspec.json.encode(orders).decode()}
    if how.sending:
        environment["BENCH_OUT"] = "1"
    with ExitStack() as stack:
        stack.callback(ground.server.drop_database, database)
        running = []
        for _ in range(how.processes):
            running.append(_Running(module, environment, told))
            stack.callback(running[-1].end)
        yield running, stack.enter_context(closing(_Database(url)))


class _Database:
    """The contender's database, seen from the machine it runs on."""

    def __init__(self, url: str) -> None:
        self._connection = psycopg.connect(libpq_url(make_url(url)), autocommit=True)
        self._looked_at = 0.0

    def look_at_itself(self) -> None:
        """What autovacuum does within a minute: before, tables that were just filled are thought to be small."""
        if time.monotonic() > self._looked_at + _ANALYZE_SECONDS:
            self._connection.execute("ANALYZE")
            self._looked_at = time.monotonic()

    def cpu_seconds(self) -> float:
        """What it has used for the contender's connections."""
        query = "SELECT pid FROM pg_stat_activity WHERE datname = current_database() AND pid <> pg_backend_pid()"
        return sum(_cpu_seconds(pid) for (pid,) in self._connection.execute(query))

    def close(self) -> None:
        """Let go of it."""
        self._connection.close()


def _wait(running: Sequence[_Running], events: int, database: _Database) -> None:
    """Until so many are reported. Raises RuntimeError if that does not happen."""
    end = time.monotonic() + _LONGEST_SECONDS
    while sum(batch.events for one in running for batch in one.batches) < events:
        if time.monotonic() > end or any(one.ended for one in running):
            raise RuntimeError("a contender does not do its work")
        database.look_at_itself()
        time.sleep(0.02)
