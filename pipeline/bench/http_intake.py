"""Throughput of events over HTTP: a running `unvarnished up`, and clients in another process.

The same events are also processed without HTTP, by the embedded runner alone: the ratio of both rates is meaningful on
a noisy machine, where the rates are not.
"""

import asyncio
import tempfile
import time
from collections.abc import Iterator, Sequence
from datetime import UTC, datetime, timedelta
from itertools import count, islice
from pathlib import Path
from typing import Any, NamedTuple

from rich.console import Console
from rich.table import Table

from pipeline.bench.harness import Endpoint, event, in_own_process, order_data, quantile, running_product
from pipeline.consumers.intake import Incoming
from pipeline.consumers.runtime.embedded import EmbeddedRunner
from pipeline.domain.asking.policy import Policy
from pipeline.domain.detection.segments import parse_levels
from pipeline.domain.setup import Setup
from pipeline.settings import DEFAULT_SEGMENT_LEVELS
from pipeline.store.db.engine import connect
from pipeline.store.journal.embedded_journal import EmbeddedJournal
from pipeline.store.people.vault import KEY_BYTES, Vault
from pipeline.store.schema.upgrade import migrate
from pipeline.store.store import Store

CLIENTS = 32
BATCH = 500  # events a request, the default limit of a request
WARM_UP = 200  # events that are not measured, in 8 requests at least
_ACCOUNTS, _DEPOTS, _CARRIERS = 300, 12, 5


class IntakeRun(NamedTuple):
    """The requests that were answered 202: how long all took, and the latency of each."""

    seconds: float
    latencies: list[float]  # seconds, sorted


def measure(console: Console, requests: int, batches: int) -> None:
    """Measure requests of one event and of many, and print the table."""
    with (
        tempfile.TemporaryDirectory() as folder,
        running_product(Path(folder), MAX_PENDING_EVENTS=str(2 * CLIENTS * BATCH)) as endpoint,
    ):
        single = in_own_process(_drive, endpoint, 0, requests, 1)
        several = in_own_process(_drive, endpoint, requests + WARM_UP, batches, BATCH)
    alone = in_own_process(_embedded, max(requests, batches * BATCH))
    table = Table(title=f"Events by HTTP, {CLIENTS} clients, SQLite", title_justify="left")
    for heading in ("request", "requests/s", "events/s", "p50 ms", "p99 ms", "of the runner alone"):
        table.add_column(heading, justify="left" if heading == "request" else "right")
    for name, run, size in (("one event", single, 1), (f"{BATCH} events", several, BATCH)):
        rate = len(run.latencies) / run.seconds
        table.add_row(
            name,
            f"{rate:,.0f}",
            f"{rate * size:,.0f}",
            f"{quantile(run.latencies, 0.5) * 1_000:,.0f}",
            f"{quantile(run.latencies, 0.99) * 1_000:,.0f}",
            f"1/{alone / (rate * size):.1f}",
        )
    console.print(table)
    console.print(f"Embedded runner alone, the same events: {alone:,.0f} events/s.")


def _drive(endpoint: Endpoint, first: int, requests: int, size: int) -> IntakeRun:
    """Send from `CLIENTS` clients at once, each waiting for its responses. The warm-up is not measured."""
    made = generate_events(first * size)
    warm_up = max(WARM_UP // size, CLIENTS // 4)
    bodies = [endpoint.request(list(islice(made, size))) for _ in range(requests + warm_up)]
    return asyncio.run(_measure(endpoint, bodies, warm_up))


async def _measure(endpoint: Endpoint, bodies: Sequence[bytes], warm_up: int) -> IntakeRun:
    latencies: list[float] = []
    await _all(endpoint, iter(bodies[:warm_up]), [])
    started = time.perf_counter()
    await _all(endpoint, iter(bodies[warm_up:]), latencies)
    return IntakeRun(time.perf_counter() - started, sorted(latencies))


async def _all(endpoint: Endpoint, bodies: Iterator[bytes], latencies: list[float]) -> None:
    async with asyncio.TaskGroup() as group:
        for _ in range(CLIENTS):
            group.create_task(_client(endpoint, bodies, latencies))


async def _client(endpoint: Endpoint, bodies: Iterator[bytes], latencies: list[float]) -> None:
    async with endpoint.connection() as send:
        for body in bodies:
            started = time.perf_counter()
            await send(body)
            latencies.append(time.perf_counter() - started)


def generate_events(first: int) -> Iterator[bytes]:
    """Endless events: orders promised for tomorrow with one contact, each with two scans, dispatched and delivered."""
    now = datetime.now(UTC).replace(microsecond=0)
    for number in count(first):
        order, step = divmod(number, 3)
        order_id, who = f"SO-{order}", str(order % _ACCOUNTS)
        if step == 0:
            dimensions = {"depot": f"D{order % _DEPOTS}", "carrier": f"C{order % _CARRIERS}"}
            phone = f"+447700900{order % 1_000:03}"  # reserved for fiction
            data = order_data(order_id, who, phone, now + timedelta(days=1), dimensions)
            yield event("order.completed", str(number), now, data)
        else:
            scan: dict[str, Any] = {"status": ("dispatched", "delivered")[step - 1], "at": now.isoformat()}
            yield event("delivery.updated", str(number), now, scan | {"order_id": order_id, "carrier": "Nordex"})


def _embedded(events: int) -> float:
    """Events a second of the embedded runner alone."""
    batch = [Incoming(raw, None, "bench", None, datetime.now(UTC)) for raw in islice(generate_events(0), events)]
    with tempfile.TemporaryDirectory() as folder:
        url = f"sqlite:///{folder}/bench.db"
        migrate(url)
        engine = connect(url)
        setup = Setup(parse_levels(DEFAULT_SEGMENT_LEVELS), 1.0, Policy())
        started = time.perf_counter()
        for _ in EmbeddedRunner(Store(engine, Vault(bytes(KEY_BYTES)), EmbeddedJournal()), setup, 5_000).ingest_all(
            batch
        ):
            pass
        seconds = time.perf_counter() - started
        engine.dispose()
    return events / seconds
