"""How fast events come in by HTTP on this machine: a real `unvarnished up`, and clients in another process.

Beside it the same events through the embedded path alone, so that the ratio holds on a noisy machine even where the
rates do not.
"""

import asyncio
import gc
import json
import multiprocessing
import os
import queue
import subprocess
import sys
import tempfile
import threading
import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from datetime import UTC, datetime, timedelta
from itertools import count
from pathlib import Path
from typing import Any, NamedTuple, TypeVar

from rich.console import Console
from rich.table import Table

from pipeline.consumers.embedded import Embedded
from pipeline.consumers.intake import Incoming
from pipeline.domain.eligibility import Policy
from pipeline.domain.segments import parse_levels
from pipeline.settings import DEFAULT_LEVELS
from pipeline.store.engine import connect, migrate
from pipeline.store.unit_of_work import Setup
from pipeline.store.vault import KEY_BYTES, Vault

CLIENTS = 32
BATCH = 500  # events a request, the most a request may hold by default
WARM_UP = 200  # requests that are not measured
_ACCOUNTS, _DEPOTS, _CARRIERS = 300, 12, 5
_START_SECONDS = 60
_SINGLE, _SEVERAL = b"application/cloudevents+json", b"application/cloudevents-batch+json"

T = TypeVar("T")


class Measured(NamedTuple):
    """Requests answered 202, and how long each took."""

    seconds: float
    latencies: list[float]  # seconds, sorted

    def quantile(self, share: float) -> float:
        """The latency, seconds, that this share of the requests stays below."""
        return self.latencies[min(int(share * len(self.latencies)), len(self.latencies) - 1)]


def ingest(console: Console, requests: int, batches: int) -> None:
    """Measure single events and batches, and print the table."""
    with tempfile.TemporaryDirectory() as folder, installation(Path(folder)) as (port, key):
        single = _apart(_drive, port, key, 0, requests, 1)
        several = _apart(_drive, port, key, requests + WARM_UP, batches, BATCH)
    alone = _apart(_embedded, max(requests, batches * BATCH))
    table = Table(title=f"Events by HTTP, {CLIENTS} clients, SQLite", title_justify="left")
    for heading in ("request", "requests/s", "events/s", "p50 ms", "p99 ms", "of the embedded path"):
        table.add_column(heading, justify="left" if heading == "request" else "right")
    for name, run, size in (("one event", single, 1), (f"{BATCH} events", several, BATCH)):
        rate = len(run.latencies) / run.seconds
        table.add_row(
            name,
            f"{rate:,.0f}",
            f"{rate * size:,.0f}",
            f"{run.quantile(0.5) * 1_000:,.0f}",
            f"{run.quantile(0.99) * 1_000:,.0f}",
            f"1/{alone / (rate * size):.1f}",
        )
    console.print(table)
    console.print(f"Embedded path alone, the same events: {alone:,.0f} events/s.")


@contextmanager
def installation(folder: Path) -> Iterator[tuple[int, str]]:
    """A running `unvarnished up` on a database in that folder: its public port and an API key."""
    kept = {name: value for name, value in os.environ.items() if not name.startswith("UNVARNISHED_")}
    environment = kept | {
        "UNVARNISHED_DATA_DIR": str(folder),
        "UNVARNISHED_PUBLIC_HOST": "127.0.0.1",
        "UNVARNISHED_PUBLIC_PORT": "0",
        "UNVARNISHED_INTERNAL_PORT": "0",
        "UNVARNISHED_WAITING_EVENTS": str(2 * CLIENTS * BATCH),
    }
    command = [sys.executable, "-m", "pipeline"]
    key = subprocess.run(  # noqa: S603
        [*command, "keys", "create", "bench"], env=environment, capture_output=True, text=True, check=True
    ).stdout.strip()
    process = subprocess.Popen(  # noqa: S603
        [*command, "up"], env=environment, stdout=subprocess.PIPE, text=True
    )
    try:
        yield _port(process), key
    finally:
        process.terminate()
        process.wait(_START_SECONDS)
        if process.stdout is not None:
            process.stdout.close()


def _port(process: "subprocess.Popen[str]") -> int:
    """What it says when it is up. Raises RuntimeError if it does not say so in time."""
    lines: queue.Queue[str] = queue.Queue()

    def _read() -> None:
        for line in process.stdout or ():
            lines.put(line)

    threading.Thread(target=_read, daemon=True).start()
    try:
        while True:
            line = lines.get(timeout=_START_SECONDS)
            if line.strip().startswith("public"):
                return int(line.rsplit(":", 1)[1])
    except queue.Empty:
        raise RuntimeError("unvarnished up did not start") from None


def _apart(measure: Callable[..., T], *arguments: object) -> T:
    """In a process of its own, whose time is nobody else's."""
    with multiprocessing.get_context("spawn").Pool(1, gc.set_threshold, (100_000, 50, 100)) as pool:
        return pool.apply(measure, arguments)


def _drive(port: int, key: str, first: int, requests: int, size: int) -> Measured:
    """Send from that many clients at once, each waiting for its answer; without the warm-up."""
    made = made_events(first * size)
    warm_up = WARM_UP if size == 1 else CLIENTS
    bodies = [_request(key, [next(made) for _ in range(size)]) for _ in range(requests + warm_up)]
    return asyncio.run(_measure(port, bodies, warm_up))


async def _measure(port: int, bodies: Sequence[bytes], warm_up: int) -> Measured:
    latencies: list[float] = []
    await _all(port, iter(bodies[:warm_up]), [])
    started = time.perf_counter()
    await _all(port, iter(bodies[warm_up:]), latencies)
    return Measured(time.perf_counter() - started, sorted(latencies))


async def _all(port: int, bodies: Iterator[bytes], latencies: list[float]) -> None:
    async with asyncio.TaskGroup() as group:
        for _ in range(CLIENTS):
            group.create_task(_client(port, bodies, latencies))


async def _client(port: int, bodies: Iterator[bytes], latencies: list[float]) -> None:
    reader, writer = await asyncio.open_connection("127.0.0.1", port)
    for body in bodies:
        started = time.perf_counter()
        writer.write(body)
        head = await reader.readuntil(b"\r\n\r\n")
        length = int(head.lower().partition(b"content-length:")[2].partition(b"\r\n")[0])
        answer = await reader.readexactly(length)
        if not head.startswith(b"HTTP/1.1 202"):
            raise RuntimeError(f"refused: {head[:200]!r} {answer[:200]!r}")
        latencies.append(time.perf_counter() - started)
    writer.close()


def _request(key: str, events: Sequence[bytes]) -> bytes:
    several = len(events) > 1
    body = b"[" + b",".join(events) + b"]" if several else events[0]
    head = (
        b"POST /v1/events HTTP/1.1\r\nHost: bench\r\nAuthorization: Bearer %s\r\nContent-Type: %s\r\n"
        b"Content-Length: %d\r\n\r\n"
    )
    return head % (key.encode(), _SEVERAL if several else _SINGLE, len(body)) + body


def made_events(first: int) -> Iterator[bytes]:
    """Orders due tomorrow with one person to ask, each with two scans: dispatched, delivered."""
    now = datetime.now(UTC).replace(microsecond=0)
    for number in count(first):
        order, step = divmod(number, 3)
        data: dict[str, Any] = {"order_id": f"SO-{order}"}
        if step == 0:
            kind = "order.completed"
            data |= {
                "account": {"id": f"A-{order % _ACCOUNTS}", "name": "Bench and Sons"},
                "contacts": [
                    {
                        "id": f"C-{order % _ACCOUNTS}",
                        "role": "receiver",
                        "name": "Ana",
                        "phone": f"+447700900{order % 1_000:03}",  # reserved for fiction
                        "language": "en",
                        "consent": {"sms": True, "source": "contract"},
                    }
                ],
                "dimensions": {"depot": f"D{order % _DEPOTS}", "carrier": f"C{order % _CARRIERS}"},
                "lines": [{"sku": "GLV-9", "ordered": 10, "delivered": 10}],
                "promised_at": (now + timedelta(days=1)).isoformat(),
            }
        else:
            kind = "delivery.updated"
            data |= {"status": ("dispatched", "delivered")[step - 1], "at": now.isoformat(), "carrier": "Nordex"}
        event = {"specversion": "1.0", "id": f"{number}", "source": "bench", "type": kind, "time": now.isoformat()}
        yield json.dumps(event | {"data": data}).encode()


def _embedded(events: int) -> float:
    """Events a second through the embedded path alone."""
    made = made_events(0)
    batch = [Incoming(next(made), None, "bench", None, datetime.now(UTC)) for _ in range(events)]
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
