"""How fast events come in by HTTP: a real `unvarnished up`, and clients in another process.

Beside it the same events through the embedded path alone, so that the ratio holds on a noisy machine even where the
rates do not.
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

from pipeline.bench.running import Door, apart, completed, event, installation, quantile
from pipeline.consumers.embedded import Embedded
from pipeline.consumers.intake import Incoming
from pipeline.domain.asking.policy import Policy
from pipeline.domain.detection.segments import parse_levels
from pipeline.settings import DEFAULT_LEVELS
from pipeline.store.db.engine import connect, migrate
from pipeline.store.people.vault import KEY_BYTES, Vault
from pipeline.store.unit_of_work import Setup

CLIENTS = 32
BATCH = 500  # events a request, the most a request may hold by default
WARM_UP = 200  # events that are not measured, in 8 requests at least
_ACCOUNTS, _DEPOTS, _CARRIERS = 300, 12, 5


class Measured(NamedTuple):
    """Requests answered 202, and how long each took."""

    seconds: float
    latencies: list[float]  # seconds, sorted


def measure(console: Console, requests: int, batches: int) -> None:
    """Single events and batches; prints the table."""
    with (
        tempfile.TemporaryDirectory() as folder,
        installation(Path(folder), WAITING_EVENTS=str(2 * CLIENTS * BATCH)) as door,
    ):
        single = apart(_drive, door, 0, requests, 1)
        several = apart(_drive, door, requests + WARM_UP, batches, BATCH)
    alone = apart(_embedded, max(requests, batches * BATCH))
    table = Table(title=f"Events by HTTP, {CLIENTS} clients, SQLite", title_justify="left")
    for heading in ("request", "requests/s", "events/s", "p50 ms", "p99 ms", "of the embedded path"):
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
    console.print(f"Embedded path alone, the same events: {alone:,.0f} events/s.")


def _drive(door: Door, first: int, requests: int, size: int) -> Measured:
    """Send from that many clients at once, each waiting for its answer; without the warm-up."""
    made = made_events(first * size)
    warm_up = max(WARM_UP // size, CLIENTS // 4)
    bodies = [door.request(list(islice(made, size))) for _ in range(requests + warm_up)]
    return asyncio.run(_measure(door, bodies, warm_up))


async def _measure(door: Door, bodies: Sequence[bytes], warm_up: int) -> Measured:
    latencies: list[float] = []
    await _all(door, iter(bodies[:warm_up]), [])
    started = time.perf_counter()
    await _all(door, iter(bodies[warm_up:]), latencies)
    return Measured(time.perf_counter() - started, sorted(latencies))


async def _all(door: Door, bodies: Iterator[bytes], latencies: list[float]) -> None:
    async with asyncio.TaskGroup() as group:
        for _ in range(CLIENTS):
            group.create_task(_client(door, bodies, latencies))


async def _client(door: Door, bodies: Iterator[bytes], latencies: list[float]) -> None:
    async with door.connected() as send:
        for body in bodies:
            started = time.perf_counter()
            await send(body)
            latencies.append(time.perf_counter() - started)


def made_events(first: int) -> Iterator[bytes]:
    """Orders due tomorrow with one person to ask, each with two scans: dispatched, delivered."""
    now = datetime.now(UTC).replace(microsecond=0)
    for number in count(first):
        order, step = divmod(number, 3)
        order_id, who = f"SO-{order}", str(order % _ACCOUNTS)
        if step == 0:
            places = {"depot": f"D{order % _DEPOTS}", "carrier": f"C{order % _CARRIERS}"}
            phone = f"+447700900{order % 1_000:03}"  # reserved for fiction
            data = completed(order_id, who, phone, now + timedelta(days=1), places)
            yield event("order.completed", str(number), now, data)
        else:
            scan: dict[str, Any] = {"status": ("dispatched", "delivered")[step - 1], "at": now.isoformat()}
            yield event("delivery.updated", str(number), now, scan | {"order_id": order_id, "carrier": "Nordex"})


def _embedded(events: int) -> float:
    """Events a second through the embedded path alone."""
    batch = [Incoming(raw, None, "bench", None, datetime.now(UTC)) for raw in islice(made_events(0), events)]
    with tempfile.TemporaryDirectory() as folder:
        url = f"sqlite:///{folder}/bench.db"
        migrate(url)
        engine = connect(url)
        setup = Setup(parse_levels(DEFAULT_LEVELS), 1.0, Policy())
        started = time.perf_counter()
        for _ in Embedded(engine, Vault(bytes(KEY_BYTES)), setup, 5_000).take(batch):
            pass
        seconds = time.perf_counter() - started
        engine.dispose()
    return events / seconds
