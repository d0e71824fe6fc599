"""Throughput of the embedded runner on this machine, compared with the least that any such runner has to do.

That limit is to decode the same events and insert them into one table, one bulk insert per batch. Both run in processes
of their own, one after the other: their ratio is meaningful on a noisy machine, where the rates are not.
"""

import gc
import multiprocessing
import random
import resource
import signal
import sys
import tempfile
import time
from collections import Counter
from collections.abc import Callable, Iterator, Mapping
from itertools import islice
from pathlib import Path
from types import FrameType
from typing import NamedTuple

from rich.console import Console
from rich.table import Table
from sqlalchemy import make_url

from pipeline.consumers.intake import Incoming
from pipeline.consumers.runtime.embedded import EmbeddedRunner
from pipeline.demo.company import LEVELS as DEMO_LEVELS
from pipeline.demo.company import Company
from pipeline.domain.asking.policy import Policy
from pipeline.domain.detection import alerting, baseline
from pipeline.domain.detection.segments import parse_levels
from pipeline.domain.events.decoding import decode
from pipeline.domain.setup import Setup
from pipeline.sources.histories.olist.history import LEVELS as OLIST_LEVELS
from pipeline.sources.histories.olist.history import OlistHistory
from pipeline.store.db.engine import connect
from pipeline.store.journal.embedded_journal import EmbeddedJournal
from pipeline.store.people.vault import KEY_BYTES, Vault
from pipeline.store.schema.journal import journal
from pipeline.store.schema.upgrade import migrate
from pipeline.store.store import Store

BATCH = 5_000  # events a transaction, the setting's default
SAMPLE_SECONDS = 0.005
DEMO_DAYS = 30
_CORE_PAIRS = 400_000

# The part of the product a sample belongs to, by the innermost of our modules on the stack.
_PARTS: Mapping[str, str] = {
    "pipeline.sources": "reading the source",
    "pipeline.demo": "reading the source",
    "pipeline.domain.detection": "detector",
    "pipeline.domain.events.decoding": "decoding",
    "pipeline.domain.events.times": "decoding",
    "pipeline.domain.reports.counts": "counting",
    "pipeline.domain": "rules",
    "pipeline.consumers": "processors",
    "pipeline.store": "store",
}
_DATABASE = "database and its driver"


class Run(NamedTuple):
    """One measured run."""

    events: int
    seconds: float
    flatness: float  # seconds per event in the last tenth of the run, divided by those in the first tenth
    peak_mb: float
    parts: dict[str, float]  # share of the time, 0 to 1


Measure = Callable[[str, Path | None], Run]
"""A measurement on the empty database with this URL, of an Olist history or of the demo's events."""


def embedded(console: Console, history: Path | None, urls: list[str]) -> None:
    """Measure on a SQLite file and on each given database, and print the tables."""
    with tempfile.TemporaryDirectory() as folder:
        stores = [f"sqlite:///{folder}/bench.db", *urls]
        table = Table(title="Embedded runner", title_justify="left")
        for heading in (
            "store",
            "events",
            "seconds",
            "events/s",
            "limit events/s",
            "of the limit",
            "last/first tenth",
            "peak MB",
        ):
            table.add_column(heading, justify="left" if heading == "store" else "right")
        runs = []
        for number, url in enumerate(stores):
            apart = f"sqlite:///{folder}/limit{number}.db" if number == 0 else url
            limit = _in_own_process(measure_limit, apart, history)
            run = _in_own_process(measure_product, url, history)
            runs.append(run)
            rate, most = run.events / run.seconds, limit.events / limit.seconds
            table.add_row(
                make_url(url).get_backend_name(),
                f"{run.events:,}",
                f"{run.seconds:.1f}",
                f"{rate:,.0f}",
                f"{most:,.0f}",
                f"1/{most / rate:.1f}",
                f"{run.flatness:.2f}",
                f"{run.peak_mb:.0f}",
            )
        console.print(table)
        console.print(_shares(stores, runs))
    pairs, seconds = core(_CORE_PAIRS)
    console.print(f"Detector alone: {pairs / seconds:,.0f} pairs/s.")


def core(pairs: int) -> tuple[int, float]:
    """Measure the detector alone: honest pairs through one segment's evidence. Returns pairs and seconds."""
    rng = random.Random(7)
    made = [
        alerting.Pair(n // 5, float(rng.random() < 0.04), baseline.DELTA0, f"a{n % 97}", f"o{n}") for n in range(pairs)
    ]
    evidence = alerting.Evidence()
    started = time.perf_counter()
    for pair in made:
        alerting.observe(evidence, pair, 73_000.0, lambda count: made[-count:])
    return pairs, time.perf_counter() - started


def _shares(stores: list[str], runs: list[Run]) -> Table:
    table = Table(title="Where the time goes", title_justify="left")
    table.add_column("part")
    for url in stores:
        table.add_column(make_url(url).get_backend_name(), justify="right")
    for part in sorted(runs[0].parts, key=lambda part: -runs[0].parts[part]):
        table.add_row(part, *(f"{run.parts.get(part, 0.0):.1%}" for run in runs))
    return table


def _in_own_process(measure: Measure, url: str, history: Path | None) -> Run:
    """Measure in a process of its own, so that its peak memory is its own."""
    with multiprocessing.get_context("spawn").Pool(1, gc.set_threshold, gc.get_threshold()) as pool:
        return pool.apply(measure, (url, history))


def _source(history: Path | None) -> tuple[Iterator[Incoming], int, str]:
    if history is not None:
        olist = OlistHistory(history)
        return iter(olist), len(olist), OLIST_LEVELS
    company = Company()
    made = [incoming._replace(received_at=at) for day in range(DEMO_DAYS) for at, incoming in company.day(day)]
    return iter(made), len(made), DEMO_LEVELS


def measure_product(url: str, history: Path | None) -> Run:
    """Measure the product: the whole path of every event."""
    started = time.perf_counter()
    with _Sampler() as sampler:
        source, total, levels = _source(history)
        migrate(url)
        engine = connect(url)
        setup = Setup(parse_levels(levels), 1.0, Policy())
        runtime = EmbeddedRunner(Store(engine, Vault(bytes(KEY_BYTES)), EmbeddedJournal()), setup, BATCH)
        marks = [(0, time.perf_counter())]
        for result in runtime.ingest_all(source):
            marks.append((marks[-1][0] + result.events, time.perf_counter()))
        engine.dispose()
    seconds = time.perf_counter() - started
    return Run(total, seconds, _flatness(marks, total), _peak_mb(), sampler.shares())


def measure_limit(url: str, history: Path | None) -> Run:
    """Measure the limit: decode, and one bulk insert per batch."""
    migrate(url)
    engine = connect(url)
    started = time.perf_counter()
    source, total, _ = _source(history)
    seq = 0
    while batch := list(islice(source, BATCH)):
        rows = []
        for incoming in batch:
            if incoming.fault is None:
                event = decode(incoming.raw, incoming.topic, incoming.received_at)
                seq += 1
                rows.append(
                    {
                        "seq": seq,
                        "source": "limit",
                        "id": f"{seq}",
                        "type": event.type,
                        "outgoing": False,
                        "received_at": event.received_at,
                        "payload": incoming.raw.decode(),
                    }
                )
        with engine.begin() as connection:
            connection.execute(journal.insert(), rows)
    seconds = time.perf_counter() - started
    if engine.dialect.name != "sqlite":
        with engine.begin() as connection:
            connection.exec_driver_sql("ALTER TABLE journal DISABLE TRIGGER USER")
            connection.exec_driver_sql("TRUNCATE journal")
            connection.exec_driver_sql("ALTER TABLE journal ENABLE TRIGGER USER")
    engine.dispose()
    return Run(total, seconds, 1.0, _peak_mb(), {})


def _flatness(marks: list[tuple[int, float]], total: int) -> float:
    """Seconds per event of the last tenth, divided by those of the first, in whole batches."""
    tenth = total / 10
    first = next(index for index, (done, _) in enumerate(marks) if done >= tenth)
    last = max(index for index, (done, _) in enumerate(marks) if done <= total - tenth)

    def cost(start: int, end: int) -> float:
        return (marks[end][1] - marks[start][1]) / max(marks[end][0] - marks[start][0], 1)

    return cost(last, len(marks) - 1) / cost(0, first)


def _peak_mb() -> float:
    kilobytes = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    return kilobytes / (1024 * 1024 if sys.platform == "darwin" else 1024)


class _Sampler:
    """Samples this process's stack every few milliseconds of wall time, without any code in the product."""

    def __init__(self) -> None:
        self._seen: Counter[str] = Counter()

    def __enter__(self) -> "_Sampler":
        signal.signal(signal.SIGALRM, lambda _signal, frame: self._seen.update([_part(frame)]))
        signal.setitimer(signal.ITIMER_REAL, SAMPLE_SECONDS, SAMPLE_SECONDS)
        return self

    def __exit__(self, *_: object) -> None:
        signal.setitimer(signal.ITIMER_REAL, 0)

    def shares(self) -> dict[str, float]:
        total = sum(self._seen.values()) or 1
        return {part: n / total for part, n in self._seen.items()}


def _part(frame: FrameType | None) -> str:
    while frame is not None:
        module = frame.f_globals.get("__name__", "")
        if module.startswith(("sqlalchemy", "psycopg", "sqlite3")):
            return _DATABASE
        for prefix, part in _PARTS.items():
            if module.startswith(prefix):
                return part
        frame = frame.f_back
    return "start-up"
